"""RSA as it carries keys in CMS: PKCS#1 v1.5 (RFC 3370) and OAEP (RFC 3560)."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from pikaserver.api.errors import AlgorithmRefused, MalformedRequest
from pikaserver.api.signing import KeyTransport
from pikaserver.asn1 import der
from pikaserver.asn1.digests import DIGEST_NAMES, DIGEST_OIDS
from pikaserver.asn1.elements import CONSTRUCTED, CONTEXT, OCTET_STRING, SEQUENCE, members
from pikaserver.asn1.identifiers import identifier, read_oid

PKCS1_V15 = KeyTransport()
"""RSAES-PKCS1-v1_5."""
OAEP = KeyTransport("sha256", "sha256")
"""RSAES-OAEP with SHA-256 throughout."""

_RSA = "1.2.840.113549.1.1.1"
_RSAES_OAEP = "1.2.840.113549.1.1.7"
_MGF1 = "1.2.840.113549.1.1.8"
_P_SPECIFIED = "1.2.840.113549.1.1.9"
_FIELDS = [CONTEXT | CONSTRUCTED, CONTEXT | CONSTRUCTED | 1, CONTEXT | CONSTRUCTED | 2]

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,  # the default of RFC 8017, harmless there
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


def padding_of(transport: KeyTransport) -> padding.AsymmetricPadding:
    """Return what cryptography calls this way to encrypt."""
    if transport.hash is None or transport.mask_hash is None:
        return padding.PKCS1v15()
    mask = padding.MGF1(_HASHES[transport.mask_hash]())
    return padding.OAEP(mask, _HASHES[transport.hash](), None)


def transport_identifier(transport: KeyTransport) -> bytes:
    """Return its AlgorithmIdentifier."""
    if transport.hash is None or transport.mask_hash is None:
        return identifier(_RSA, der.null())
    hashed, masked = (
        identifier(DIGEST_OIDS[name], der.null()) for name in (transport.hash, transport.mask_hash)
    )
    fields = der.context(0, hashed), der.context(1, identifier(_MGF1, masked))
    return identifier(_RSAES_OAEP, der.sequence(*fields))


def read_transport(octets: bytes) -> KeyTransport:
    """Return which way to encrypt an AlgorithmIdentifier names.

    Raises:
        AlgorithmRefused: it is neither, or OAEP with a hash or a label that we do not know.
        MalformedRequest: it cannot be read.
    """
    oid = read_oid(octets)
    if oid == _RSA:
        return PKCS1_V15
    if oid != _RSAES_OAEP:
        raise AlgorithmRefused(f"keys are not taken by {oid}")
    _, *parameters = members(octets, "an AlgorithmIdentifier")
    fields: dict[int, bytes] = {}
    for parameter in parameters[:1]:
        for field in members(octets, "RSAES-OAEP-params", parameter.at):
            fields[field.tag] = octets[field.start : field.end]
    if set(fields) - set(_FIELDS):
        raise MalformedRequest("RSAES-OAEP-params with fields that do not belong")
    hashed = _hash(fields.get(_FIELDS[0]))
    masked = _mask_hash(fields.get(_FIELDS[1]))
    _check_label(fields.get(_FIELDS[2]))
    return KeyTransport(hashed, masked)


def _hash(octets: bytes | None) -> str:
    name = "sha1" if octets is None else DIGEST_NAMES.get(read_oid(octets), "")
    if name not in _HASHES:
        raise AlgorithmRefused("OAEP with a hash that is not accepted")
    return name


def _mask_hash(octets: bytes | None) -> str:
    if octets is None:
        return "sha1"
    parts = members(octets, "a mask generation function")
    shape = [part.tag for part in parts[1:]]
    if read_oid(octets) != _MGF1 or shape != [SEQUENCE]:
        raise AlgorithmRefused("OAEP with a mask generation function that is not MGF1")
    return _hash(octets[parts[1].at : parts[1].end])


def _check_label(octets: bytes | None) -> None:
    if octets is None:
        return
    parts = members(octets, "the source of a label")
    empty = [(part.tag, part.end - part.start) for part in parts[1:]] == [(OCTET_STRING, 0)]
    if read_oid(octets) != _P_SPECIFIED or not empty:
        raise AlgorithmRefused("OAEP with a label")
