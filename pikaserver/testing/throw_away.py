"""Throw-away authorities and clients: real certificates, the same octets in every run."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509.oid import NameOID

from pikaserver.api.operations import Entropy

_YEAR = timedelta(days=365)
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class ThrowAwayAuthority:
    """A CA with one P-256 key; below another one, or a root."""

    def __init__(
        self,
        name: str,
        at: datetime,
        entropy: Entropy,
        issuer: "ThrowAwayAuthority | None" = None,
    ) -> None:
        self.subject = distinguished_name(name)
        self._key = throw_away_key(entropy)
        self._entropy = entropy
        above = issuer or self
        self.certificate = above.certify(
            self.public_key, self.subject, at - _YEAR, at + 10 * _YEAR, ca=True
        )
        self.chain: tuple[bytes, ...] = ()
        if issuer is not None:
            self.chain = (issuer.certificate, *issuer.chain)

    @property
    def key(self) -> ec.EllipticCurvePrivateKey:
        """Its private key."""
        return self._key

    @property
    def public_key(self) -> bytes:
        """SubjectPublicKeyInfo in DER."""
        return spki(self._key)

    def certify(  # noqa: PLR0913 - what a certificate says
        self,
        public_key: bytes,
        subject: x509.Name,
        not_before: datetime,
        not_after: datetime,
        *,
        names: Sequence[x509.GeneralName] = (),
        ca: bool = False,
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> bytes:
        """Return a certificate in DER over a key that cryptography knows."""
        key = load_der_public_key(public_key)
        serial = int.from_bytes(b"\x01" + self._entropy(17), "big")
        builder = (
            x509.CertificateBuilder(self.subject, subject)
            .public_key(key)  # type: ignore[arg-type]  # the union has key agreement too
            .serial_number(serial)
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        for value, critical in extensions:
            builder = builder.add_extension(value, critical=critical)
        certificate = builder.sign(self._key, hashes.SHA256(), ecdsa_deterministic=True)
        return certificate.public_bytes(Encoding.DER)

    def revoke(
        self,
        number: int,
        this_update: datetime,
        next_update: datetime,
        entries: Iterable[x509.RevokedCertificate],
    ) -> bytes:
        """Return a CRL in DER."""
        builder = (
            x509.CertificateRevocationListBuilder(self.subject)
            .last_update(this_update)
            .next_update(next_update)
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        for entry in entries:
            builder = builder.add_revoked_certificate(entry)
        crl = builder.sign(self._key, hashes.SHA256(), ecdsa_deterministic=True)
        return crl.public_bytes(Encoding.DER)


def throw_away_key(entropy: Entropy) -> ec.EllipticCurvePrivateKey:
    """Return a P-256 key that is the same wherever the entropy is."""
    number = int.from_bytes(entropy(40), "big") % (_ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP256R1())


def throw_away_request(
    key: ec.EllipticCurvePrivateKey, common_name: str, *names: x509.GeneralName
) -> bytes:
    """Return a CSR in DER."""
    builder = x509.CertificateSigningRequestBuilder(distinguished_name(common_name))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    csr = builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    return csr.public_bytes(Encoding.DER)


def distinguished_name(common_name: str) -> x509.Name:
    """Return a name that is only a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the SubjectPublicKeyInfo of a key in DER."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
