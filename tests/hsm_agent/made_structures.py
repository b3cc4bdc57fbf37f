"""Real structures to be signed, made with cryptography and pikaserver.asn1."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pikaserver.asn1 import certificate as own_certificates
from pikaserver.asn1 import crl as own_crls
from pikaserver.asn1 import der
from pikaserver.asn1.csr import request_info

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@cache
def key(number):
    """Return the same EC P-256 key for the same number."""
    return ec.derive_private_key(number, ec.SECP256R1())


def spki(private):
    """Return the SubjectPublicKeyInfo of a private key."""
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


CA_KEY = key(1)
LEAF_KEY = key(2)
OTHER_KEY = key(3)
CA_SPKI = spki(CA_KEY)
LEAF_SPKI = spki(LEAF_KEY)


def name(text):
    """Return a name written as in RFC 4514."""
    return x509.Name.from_rfc4514_string(text)


CA_NAME = name("CN=Issuing CA 1,O=Example")
CA_IDENTIFIER = x509.AuthorityKeyIdentifier.from_issuer_public_key(CA_KEY.public_key())
NO_CA = x509.BasicConstraints(ca=False, path_length=None)
LEAF_USAGE = ("digital_signature",)
CA_USAGE = ("key_cert_sign", "crl_sign")
USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def usage(*wanted):
    """Return a keyUsage of these bits."""
    return x509.KeyUsage(**{one: one in wanted for one in USAGES})


@dataclass(frozen=True)
class Made:
    """A certificate to be made; everything has a value that the starter policy allows."""

    subject: x509.Name = field(default_factory=lambda: name("CN=a leaf"))
    issuer: x509.Name = CA_NAME
    public_key: object = field(default_factory=LEAF_KEY.public_key)
    serial: int = 0x0102030405060708090A
    not_before: datetime = NOW - timedelta(minutes=5)
    not_after: datetime = NOW + 90 * DAY
    names: tuple = (x509.DNSName("www.example.com"),)
    usage: tuple | None = LEAF_USAGE
    purposes: tuple | None = (ExtendedKeyUsageOID.SERVER_AUTH,)
    constraints: x509.BasicConstraints | None = NO_CA
    key_identifier: x509.AuthorityKeyIdentifier | None = CA_IDENTIFIER
    more: tuple = ()
    algorithm: str = "ecdsa-sha256"

    def builder(self):
        """Return the builder of cryptography, filled."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(self.issuer)
            .public_key(self.public_key)
            .serial_number(self.serial)
            .not_valid_before(self.not_before)
            .not_valid_after(self.not_after)
        )
        for value, critical in self.extensions():
            builder = builder.add_extension(value, critical=critical)
        return builder

    def extensions(self):
        """Yield extensions and whether they are critical."""
        yield x509.SubjectKeyIdentifier.from_public_key(self.public_key), False
        if self.constraints is not None:
            yield self.constraints, True
        if self.usage is not None:
            yield usage(*self.usage), True
        if self.purposes is not None:
            yield x509.ExtendedKeyUsage(self.purposes), False
        if self.names:
            yield x509.SubjectAlternativeName(self.names), False
        if self.key_identifier is not None:
            yield self.key_identifier, False
        yield from self.more

    @property
    def tbs(self):
        """The TBSCertificate, as the server makes it."""
        return own_certificates.tbs(self.builder(), self.algorithm)

    def signed(self, private=CA_KEY):
        """Return the certificate in DER."""
        return self.builder().sign(private, hashes.SHA256()).public_bytes(Encoding.DER)


def leaf(**changes):
    """Return the TBSCertificate of a leaf that the starter policy allows, changed."""
    return replace(Made(), **changes).tbs


AUTHORITY = Made(
    subject=CA_NAME,
    issuer=name("CN=Root,O=Example"),
    public_key=CA_KEY.public_key(),
    not_after=NOW + 3000 * DAY,
    names=(),
    usage=CA_USAGE,
    purposes=None,
    constraints=x509.BasicConstraints(ca=True, path_length=None),
    key_identifier=None,
)
CA_CERTIFICATE = AUTHORITY.signed(OTHER_KEY)


def ca(**changes):
    """Return the TBSCertificate of an authority below ours, changed."""
    below = replace(
        AUTHORITY,
        subject=name("CN=Sub CA,O=Example"),
        issuer=CA_NAME,
        public_key=LEAF_KEY.public_key(),
        not_after=NOW + 1000 * DAY,
        key_identifier=Made().key_identifier,
    )
    return replace(below, **changes).tbs


def root(**changes):
    """Return a TBSCertificate of our key over itself, changed."""
    return replace(AUTHORITY, **{"issuer": CA_NAME, **changes}).tbs


def crl(number=1, serials=(), **changes):
    """Return a TBSCertList as the server makes it."""
    head = own_crls.CrlHead(
        issuer=CA_NAME.public_bytes(),
        algorithm="ecdsa-sha256",
        this_update=NOW,
        next_update=NOW + DAY,
        number=number,
        key_identifier=x509.SubjectKeyIdentifier.from_public_key(CA_KEY.public_key()).digest,
    )
    entries = [
        own_crls.entry(serial, NOW - DAY, own_crls.RevocationReason.KEY_COMPROMISE)
        for serial in serials
    ]
    pieces = own_crls.tbs_pieces(replace(head, **changes), own_crls.in_memory(entries))
    return b"".join(pieces)


def answer(
    responder=CA_CERTIFICATE,
    issuer=CA_CERTIFICATE,
    this_update=NOW,
    next_update=NOW + DAY,
    algorithm=None,
    encoding=ocsp.OCSPResponderEncoding.HASH,
):
    """Return a ResponseData about our leaf."""
    # The builder hashes the name of the issuer that stands in the certificate.
    issuing = x509.load_der_x509_certificate(issuer)
    issued = x509.load_der_x509_certificate(Made(issuer=issuing.subject).signed())
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=issued,
            issuer=issuing,
            algorithm=algorithm or hashes.SHA1(),  # noqa: S303 - the usual hash of a CertID
            cert_status=ocsp.OCSPCertStatus.GOOD,
            this_update=this_update,
            next_update=next_update,
            revocation_time=None,
            revocation_reason=None,
        )
        .responder_id(encoding, x509.load_der_x509_certificate(responder))
    )
    # The builder takes the time of the host; the field of 15 octets is set to ours.
    told = x509.load_der_x509_certificate(responder).public_key()
    private = next(one for one in (CA_KEY, LEAF_KEY, OTHER_KEY) if one.public_key() == told)
    tbs = builder.sign(private, hashes.SHA256()).tbs_response_bytes
    at = tbs.index(b"\x18\x0f") + 2
    return tbs[:at] + f"{NOW:%Y%m%d%H%M%SZ}".encode() + tbs[at + 15 :]


def csr(subject=CA_NAME, public_key=CA_SPKI):
    """Return a CertificationRequestInfo."""
    wish = x509.BasicConstraints(ca=True, path_length=None)
    return request_info(subject, public_key, [x509.Extension(wish.oid, True, wish)])  # noqa: FBT003


def attribute(oid, *values):
    """Return one attribute of CMS."""
    return der.sequence(der.oid(oid), der.set_of(*values))


DATA = "1.2.840.113549.1.7.1"
TST_INFO = "1.2.840.113549.1.9.16.1.4"


def attributes(content_type=DATA, digest=bytes(32), *more):
    """Return signedAttrs as they are signed."""
    return der.set_of(
        attribute("1.2.840.113549.1.9.3", der.oid(content_type)),
        attribute("1.2.840.113549.1.9.4", der.octet_string(digest)),
        *more,
    )


def scep(message_type="3"):
    """Return the signedAttrs of a SCEP answer."""
    return attributes(
        DATA,
        bytes(32),
        attribute("2.16.840.1.113733.1.9.2", der.element(0x13, message_type.encode())),
        attribute("2.16.840.1.113733.1.9.7", der.element(0x13, b"transaction")),
    )


def tst_info(*more, policy="1.2.3.4", hash_oid="2.16.840.1.101.3.4.2.1", at=NOW):
    """Return a TSTInfo; ``more`` are encoded fields at its end."""
    return der.sequence(
        der.integer(1),
        der.oid(policy),
        der.sequence(der.sequence(der.oid(hash_oid)), der.octet_string(bytes(32))),
        der.integer(77),
        der.generalized_time(at),
        *more,
    )


def stamped(content):
    """Return the signedAttrs for a TSTInfo."""
    return attributes(TST_INFO, hashlib.sha256(content).digest())


def rules(kinds, body="", profile="issuing"):
    """Return a policy with one profile that allows these kinds."""
    listed = ", ".join(f'"{kind}"' for kind in kinds)
    return f"version = 1\n[profiles.{profile}]\nkinds = [{listed}]\n{body}"


def ip(text):
    """Return an alternative name for an address."""
    return x509.IPAddress(ip_address(text))


def upn(text):
    """Return the otherName of a user principal name."""
    value = der.element(0x0C, text.encode())
    return x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), value)


ED25519_KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
COMMON_NAME = NameOID.COMMON_NAME
