"""A SCEP client in Python, as well-behaved or as hostile as a test wants it."""

import base64
import urllib.parse
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, rsa
from cryptography.x509.oid import AttributeOID, NameOID

from pikaserver.api.certificates import CertificateQuery
from pikaserver.asn1 import der
from pikaserver.asn1 import scep_attributes as attributes
from pikaserver.asn1.algorithms import default_algorithm, key_type
from pikaserver.asn1.cms import read_certificates_only
from pikaserver.asn1.digests import digest
from pikaserver.asn1.elements import children
from pikaserver.asn1.enveloped_data import open_, read_envelope, seal
from pikaserver.asn1.recipients import KeyTransportRecipient
from pikaserver.asn1.signed_data import DATA, Signed, digest_of, signed_attributes, signed_data
from pikaserver.asn1.signed_data_reading import read_signed_data
from pikaserver.asn1.weak_signatures import WEAK_HASHES
from pikaserver.authority.templates.changes import with_changes
from pikaserver.clock import system_entropy
from pikaserver.signing.software_signers import make_decrypter
from pikaserver.testing.client import ServiceClient
from pikaserver_scep.challenges.one_time import OneTimeChallenges, Wish
from pikaserver_scep.plugin import register_services

PKCS_REQ, RENEWAL_REQ, CERT_POLL, GET_CERT, GET_CRL = "19", "17", "20", "21", "22"
SUCCESS, FAILURE, PENDING = "0", "2", "3"
BAD_ALG, BAD_MESSAGE_CHECK, BAD_REQUEST, BAD_CERT_ID = "0", "1", "2", "4"

_START = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def rsa_key(number=0, bits=2048):
    """Return one of a few keys: making them takes longer than all else."""
    assert number < 10
    return rsa.generate_private_key(65537, bits)


def private_key(kind, number=0):
    """Return a key of one of our types."""
    if kind.startswith("rsa-"):
        return rsa_key(number, int(kind[4:]))
    if kind == "ml-dsa-44":
        return mldsa.MLDSA44PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def spki(key):
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def subject(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def sign(key, algorithm, octets):
    """Sign as SignerInfo carries it."""
    if isinstance(key, rsa.RSAPrivateKey):
        hashed = getattr(hashes, algorithm.removeprefix("rsa-").upper())()
        return key.sign(octets, padding.PKCS1v15(), hashed)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(octets, ec.ECDSA(hashes.SHA256()))
    return key.sign(octets)


@dataclass
class Reply:
    """A CertRep whose signature holds."""

    status: str
    fail_info: str | None
    text: str | None
    transaction: str
    recipient_nonce: bytes | None
    signer: bytes
    digest: str
    envelope: bytes = field(repr=False)

    @property
    def outcome(self):
        return self.status, self.fail_info


class Device:
    """A client with a key and a certificate, which signs itself at first."""

    def __init__(self, name="plc-21", kind="rsa-2048", number=0):
        self.name, self.kind = name, kind
        self.key = private_key(kind, number)
        self.certificate = self.self_signed()
        self.nonces = 0

    def self_signed(self):
        builder = x509.CertificateBuilder(
            subject(self.name), subject(self.name), self.key.public_key(), 1
        )
        builder = builder.not_valid_before(_START).not_valid_after(_START + timedelta(days=10))
        message_key = self.kind.startswith("ml-dsa")
        made = builder.sign(self.key, None if message_key else hashes.SHA256())
        return made.public_bytes(serialization.Encoding.DER)

    def csr(self, password=None, name=None, key=None):
        """Return a request in DER."""
        key = key or self.key
        builder = x509.CertificateSigningRequestBuilder(subject(name or self.name))
        if password is not None:
            builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, password.encode())
        message_key = key_type(spki(key)).startswith("ml-dsa")
        made = builder.sign(key, None if message_key else hashes.SHA256())
        return made.public_bytes(serialization.Encoding.DER)

    def seal(self, content, certificate, cipher="aes-256-cbc", transport=None):
        recipient = KeyTransportRecipient(certificate)
        if transport is not None:
            recipient = KeyTransportRecipient(certificate, transport)
        return seal(content, [recipient], system_entropy, cipher)

    def message(  # noqa: PLR0913 - everything that a hostile client may change
        self,
        kind,
        envelope,
        *,
        transaction="1",
        nonce=None,
        key=None,
        certificate=None,
        hash_name=None,
        more=(),
    ):
        """Return a pkiMessage."""
        self.nonces += 1
        key, certificate = key or self.key, certificate or self.certificate
        algorithm = default_algorithm(key_type(spki(key)))
        used = hash_name or digest_of(algorithm)
        values = [
            attributes.printable(attributes.MESSAGE_TYPE, kind),
            attributes.printable(attributes.TRANSACTION_ID, transaction),
            attributes.nonce(
                attributes.SENDER_NONCE,
                b"%016d" % self.nonces if nonce is None else nonce,
            ),
            *more,
        ]
        octets = signed_attributes(DATA, digest(used, envelope), *values)
        weak = hash_name in ("sha1", "md5")
        signature = sign(key, f"rsa-{hash_name}" if hash_name else algorithm, octets)
        signed = Signed(certificate, algorithm, octets, signature, None if weak else used)
        message = signed_data(DATA, envelope, signed, [certificate])
        return with_digest(message, hash_name) if weak else message

    def read(self, octets):
        """Return a reply, verified by the certificate in it."""
        signed = read_signed_data(octets)
        signer = signed.signer()
        signed.verify(signer, weak=WEAK_HASHES)
        values = signed.values
        assert "3" == attributes.read_text(values, attributes.MESSAGE_TYPE)
        return Reply(
            status=attributes.read_text(values, attributes.PKI_STATUS),
            fail_info=attributes.read_text(values, attributes.FAIL_INFO),
            text=attributes.read_text(values, attributes.FAIL_INFO_TEXT),
            transaction=attributes.read_text(values, attributes.TRANSACTION_ID),
            recipient_nonce=attributes.read_nonce(values, attributes.RECIPIENT_NONCE),
            signer=signer,
            digest=signed.digest,
            envelope=signed.content,
        )

    @property
    def decrypt(self):
        return make_decrypter(self.key, spki(self.key)).decrypt

    def opened(self, reply):
        """Return what is in a reply's envelope."""
        return open_(read_envelope(reply.envelope), [self], system_entropy, bytes)

    def certificate_in(self, reply):
        """Return the certificate that a reply brings."""
        (certificate,) = read_certificates_only(self.opened(reply))
        return certificate


def with_digest(message, hash_name):
    """Return a message that says it was hashed with a weak hash."""
    oid = {"sha1": "1.3.14.3.2.26", "md5": "1.2.840.113549.2.5"}[hash_name]
    return _replaced(message, der.oid("2.16.840.1.101.3.4.2.1"), der.oid(oid))


def _replaced(octets, old, new):
    """Return DER with an element replaced wherever it stands, lengths put right."""
    if octets == old:
        return new
    if not octets[0] & 0x20:
        return octets
    inner = b"".join(_replaced(octets[one.at : one.end], old, new) for one in children(octets))
    return der.element(octets[0], inner)


class House:
    """A whole server without a socket, open to SCEP by its template ``device``."""

    def __init__(self, server, folder=None):
        self.server, self.folder = server, folder
        self.client = ServiceClient(register_services(server)[0], tls=False)
        self.set("scep.enabled=true")

    def set(self, *changes, template="device"):
        document = with_changes(self.server.templates.document(template), changes)
        self.server.templates.save(template, document, "test")

    def challenge(self, template="device", **wishes):
        return OneTimeChallenges(self.server).create(Wish(template, **wishes), "test").challenge

    def ca_certificates(self, path="/scep/device"):
        """Return what GetCACert says, the one that messages are encrypted to first."""
        answer = self.client.get(f"{path}?operation=GetCACert")
        if answer.headers["content-type"] == "application/x-x509-ca-cert":
            return [answer.content]
        return read_certificates_only(answer.content)

    @property
    def recipient(self):
        return self.ca_certificates()[0]

    def post(self, octets, path="/scep/device"):
        return self.client.send("POST", f"{path}?operation=PKIOperation", octets)

    def get(self, octets, path="/scep/device"):
        message = urllib.parse.quote(base64.b64encode(octets).decode(), safe="")
        return self.client.get(f"{path}?operation=PKIOperation&message={message}")

    def ask(self, device, octets, *, get=False):
        """Return the reply to a message."""
        answer = (self.get if get else self.post)(octets)
        assert 200 == answer.status_code, answer.text
        assert "application/x-pki-message" == answer.headers["content-type"]
        return device.read(answer.content)

    def enrol(self, device, password=None, *, get=False, **words):
        """Return the reply to a PKCSReq."""
        password = self.challenge() if password is None else password
        envelope = device.seal(device.csr(password), self.recipient)
        return self.ask(device, device.message(PKCS_REQ, envelope, **words), get=get)

    def enrolled(self, device, **words):
        """Enrol a device, which signs with its new certificate from now on."""
        reply = self.enrol(device, **words)
        assert SUCCESS == reply.status, reply
        device.certificate = device.certificate_in(reply)
        return device

    def issued(self):
        """Return how many certificates devices have got."""
        found = self.server.certificates.find(CertificateQuery(limit=1000))
        return sum(1 for one in found if one.template == "device" and one.door == "scep")

    def issuer_and_serial(self, serial):
        """Return what GetCert and GetCRL ask for."""
        certificate = self.server.authorities.get("issuing").generations[0].certificate
        loaded = x509.load_der_x509_certificate(certificate)
        return der.sequence(loaded.subject.public_bytes(), der.integer(serial))
