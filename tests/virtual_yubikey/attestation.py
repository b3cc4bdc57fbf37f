"""The maker's certificates: a root for tests, what it puts into slot f9, and attestations."""

from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.virtual_yubikey.apdu import Refused, Status
from tests.virtual_yubikey.keys import PrivateKey, SlotKey
from tests.virtual_yubikey.tlv import MalformedTlv, read_tlv_map, tlv

ARC = "1.3.6.1.4.1.41482.3."
FIRMWARE, SERIAL, POLICIES, FORM_FACTOR, FIPS = (f"{ARC}{number}" for number in (3, 7, 8, 9, 10))
NOT_BEFORE = datetime(2016, 3, 14, tzinfo=UTC)
NOT_AFTER = datetime(2052, 4, 17, tzinfo=UTC)

Signer = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Device:
    """What an attestation tells of the device."""

    version: tuple[int, int, int]
    serial: int
    form_factor: int
    fips: bool


class Maker:
    """A stand-in for Yubico: a root, intermediates where wanted, and devices' f9 certificates.

    The first root of Yubico issues f9 certificates itself; the newer one has two authorities
    between, which no device carries: whoever verifies has to bring them along.
    """

    def __init__(self, intermediates: int = 0) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.root = _authority("Test PIV Root CA", self._key, self._key, None)
        self.intermediates: list[x509.Certificate] = []
        issuer = self.root
        for number in range(1, intermediates + 1):
            key = ec.generate_private_key(ec.SECP256R1())
            issuer = _authority(f"Test PIV Attestation {number}", key, self._key, issuer)
            self.intermediates.append(issuer)
            self._key = key
        self._issuer = issuer

    @property
    def root_pem(self) -> bytes:
        """The root as PEM."""
        return self.root.public_bytes(Encoding.PEM)

    def certify(self, key: Signer) -> bytes:
        """Return the certificate (DER) that a device leaves the factory with, for its f9 key."""
        certificate = _authority("Yubico PIV Attestation", key, self._key, self._issuer)
        return certificate.public_bytes(Encoding.DER)


def certificate_object(certificate: bytes) -> bytes:
    """Return the content of a certificate object: 70 DER, 71 not compressed, FE nothing."""
    return tlv(0x70, certificate) + tlv(0x71, b"\0") + tlv(0xFE)


def attest(slot: int, key: SlotKey, f9: PrivateKey, stored: bytes, device: Device) -> bytes:
    """Return the certificate (DER) by which the card vouches for a key that it made.

    Its dates and issuer are those of the stored f9 certificate, its hash is always SHA-256.

    Raises:
        Refused: what stands in slot f9 cannot sign, or its object holds no certificate.
    """
    if isinstance(f9, x25519.X25519PrivateKey):
        raise Refused(Status.WRONG_DATA)
    try:
        issuer = x509.load_der_x509_certificate(read_tlv_map(stored)[0x70])
        return _attestation(slot, key, f9, issuer, device).public_bytes(Encoding.DER)
    except (KeyError, MalformedTlv, ValueError) as unusable:
        raise Refused(Status.WRONG_DATA) from unusable


def _attestation(
    slot: int, key: SlotKey, f9: Signer, issuer: x509.Certificate, device: Device
) -> x509.Certificate:
    octets = device.serial.to_bytes(device.serial.bit_length() // 8 + 1, "big")
    told = {
        FIRMWARE: bytes(device.version),
        SERIAL: tlv(0x02, octets),
        POLICIES: bytes([key.pin_policy, key.touch_policy]),
        FORM_FACTOR: bytes([device.form_factor | (0x80 if device.fips else 0)]),
    }
    if device.fips:
        told[FIPS] = b""
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(f"YubiKey PIV Attestation {slot:02x}"))
        .issuer_name(issuer.subject)
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
        .serial_number(x509.random_serial_number() >> 32)
        .public_key(key.private.public_key())
    )
    for identifier, value in told.items():
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(identifier), value)
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(f9, _hash(f9))


def _hash(key: Signer) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _authority(
    name: str, key: Signer, signer: Signer, issuer: x509.Certificate | None
) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(name) if issuer is None else issuer.subject)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
        .serial_number(x509.random_serial_number())
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(signer, _hash(signer))
    )
