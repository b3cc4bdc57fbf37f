"""How a generated key reaches its owner: plain over TLS, or encrypted (RFC 7030 section 4.4.2)."""

from collections.abc import Callable

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import CertificationRequest
from pikaserver.api.server import Server
from pikaserver.api.services import ServiceUse
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.asn1.content_ciphers import CONTENT_CIPHERS
from pikaserver.asn1.digests import digest
from pikaserver.asn1.enveloped_data import seal
from pikaserver.asn1.identifiers import key_identifier
from pikaserver.asn1.key_transport import OAEP
from pikaserver.asn1.recipients import (
    KeyAgreementRecipient,
    KeyTransportRecipient,
    Recipient,
    WrappedKeyRecipient,
)
from pikaserver.asn1.request_attributes import (
    ASYMMETRIC_DECRYPT_KEY_ID,
    DECRYPT_KEY_ID,
    capabilities,
    key_name,
)
from pikaserver.asn1.signed_data import (
    SIGNED_DATA,
    Signed,
    digest_of,
    signed_attributes,
    signed_data,
)
from pikaserver_est import storage

KEY_PACKAGE = "2.16.840.1.101.2.1.2.78.5"
"""id-ct-KP-aKeyPackage (RFC 5958 section 1)."""
CMC_SERVICE = "cmc"
SECRET = "est.decrypt-key"  # noqa: S105 - the purpose of sealing, no secret

_CIPHERS = ("aes-256-cbc", "aes-192-cbc", "aes-128-cbc")

Envelope = Callable[[bytes], bytes]
"""Takes a private key (PKCS#8) and returns what is sent of it."""


def service_use(authority: str) -> ServiceUse:
    """Return the key that signs what the server sends in CMS on behalf of an authority."""
    return ServiceUse(CMC_SERVICE, "CMC", authority)


def envelope_for(
    server: Server,
    csr: CertificationRequest,
    shown: CertificateRecord | None,
    authority: str,
) -> Envelope | None:
    """Return how a request wants the key encrypted; ``None`` where TLS alone is enough for it.

    Raises:
        RequestRejected: it names a key, or ciphers, that are not known here.
    """
    symmetric = key_name(csr, DECRYPT_KEY_ID)
    pair = key_name(csr, ASYMMETRIC_DECRYPT_KEY_ID)
    if symmetric is None and pair is None:
        return None
    if symmetric is not None and pair is not None:
        raise RequestRejected("the request names two keys to encrypt to")
    cipher = _cipher(csr)
    recipient = (
        _symmetric(server, symmetric)
        if symmetric is not None
        else _pair(server, pair or b"", shown)
    )

    def envelope(pkcs8: bytes) -> bytes:
        signed = _signed(server, pkcs8, authority)
        return seal(signed, [recipient], server.entropy, cipher, content_type=SIGNED_DATA)

    return envelope


def _cipher(csr: CertificationRequest) -> str:
    """Return the best cipher of those that the client says it knows."""
    known = capabilities(csr)
    if not known:
        return _CIPHERS[0]
    for name in _CIPHERS:
        if name in CONTENT_CIPHERS and CONTENT_CIPHERS[name].oid in known:
            return name
    raise RequestRejected("of the ciphers in SMIMECapabilities none is used here")


def _symmetric(server: Server, name: bytes) -> Recipient:
    with server.database.reading() as connection:
        found = storage.find_key(connection, name.hex())
    if found is None or found.sealed is None:
        raise RequestRejected(f"the symmetric key {name.hex()} is not known here")
    return WrappedKeyRecipient(name, server.secrets.open(SECRET, found.sealed))


def _pair(server: Server, name: bytes, shown: CertificateRecord | None) -> Recipient:
    """Return the holder of a key pair: the caller, by the certificate shown, or a known one."""
    with server.database.reading() as connection:
        found = storage.find_key(connection, name.hex())
    certificate = found.certificate if found is not None else None
    own = shown.certificate if shown is not None else None
    if certificate is None and own is not None and _identifier(own) == name:
        certificate = own
    if certificate is None:
        raise RequestRejected(f"no certificate of the key {name.hex()} is known here")
    kind = key_type(public_key_of(read_certificate(certificate)))
    if kind.startswith("rsa-"):
        return KeyTransportRecipient(certificate, OAEP)
    if kind.startswith("ec-"):
        return KeyAgreementRecipient(certificate)
    raise RequestRejected(f"nothing can be encrypted to a key of type {kind}")


def _identifier(certificate: bytes) -> bytes:
    return key_identifier(public_key_of(read_certificate(certificate)))


def _signed(server: Server, pkcs8: bytes, authority: str) -> bytes:
    """Return the key in a package that its maker signed (RFC 5958 section 2)."""
    package = der.sequence(pkcs8)
    key = server.services.get(service_use(authority))
    hashed = digest(digest_of(key.algorithm), package)
    attributes = signed_attributes(KEY_PACKAGE, hashed)
    signed = Signed(key.certificate, key.algorithm, attributes, key.sign(attributes, package))
    return signed_data(KEY_PACKAGE, package, signed, (key.certificate, *key.chain))
