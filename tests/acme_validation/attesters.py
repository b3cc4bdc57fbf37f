"""Stand-ins for what attests keys: Apple's servers, TPMs, YubiKeys, and clients that send it."""

import base64
import datetime as dt
import hashlib
import json
from dataclasses import dataclass

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from pikaserver.asn1 import der
from tests.acme_validation.tokens import KEY_AUTHORIZATION, TOKEN
from tests.virtual_yubikey.attestation import Device, Maker, attest, certificate_object
from tests.virtual_yubikey.keys import KeyType, PinPolicy, SlotKey, TouchPolicy

NOT_BEFORE = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
NOT_AFTER = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
APPLE = "1.2.840.113635.100.8."
TPM_NAMES = ("id:FFFFF1D0", "Stand-in", "id:13")
PERMANENT = "device-0815"
MODULE = der.sequence(der.oid("1.3.6.1.4.1.32473.7"), der.octet_string(b"\x08\x15"))


def response(form, statement):
    """Return what a client sends to begin its challenge."""
    octets = cbor2.dumps({"fmt": form, "attStmt": statement, "authData": b""})
    return json.dumps({"attObj": base64.urlsafe_b64encode(octets).rstrip(b"=").decode()}).encode()


def der_of(certificate):
    """Return a certificate in DER."""
    return certificate.public_bytes(Encoding.DER)


def unknown(oid, octets):
    """Return an extension that only its maker knows."""
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), octets), False


class Maker2:
    """A root with an authority below it, which certifies keys of devices."""

    def __init__(self, name):
        self.root_key = ec.generate_private_key(ec.SECP384R1())
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = certificate(
            f"{name} Root", f"{name} Root", self.root_key, self.root_key, ca=True
        )
        self.authority = certificate(f"{name} CA", f"{name} Root", self.key, self.root_key, ca=True)
        self._name = f"{name} CA"

    @property
    def roots(self):
        """PEM, as a policy holds it."""
        return (self.root.public_bytes(Encoding.PEM).decode(),)

    def certify(self, subject, key, extensions=(), **changes):
        """Return a device's certificate."""
        return certificate(subject, self._name, key, self.key, extensions, **changes)


def certificate(  # noqa: PLR0913 - what a certificate says
    subject, issuer, key, signer, extensions=(), *, ca=False, until=NOT_AFTER
):
    """Return a certificate; an empty subject stays empty."""
    builder = (
        x509.CertificateBuilder(_name(issuer), _name(subject))
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    return builder.sign(signer, hashes.SHA256())


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def apple(maker, key, **changes):
    """Return the response of a managed device; ``changes`` are its oddities."""
    told = {
        "serial": b"C02X1234ABCD",
        "udid": b"00008030-001A2B3C4D5E6F70",
        "nonce": hashlib.sha256(TOKEN.encode()).digest(),
        "extra": (),
        **changes,
    }
    extensions = [
        unknown(f"{APPLE}9.1", told["serial"]),
        unknown(f"{APPLE}9.2", told["udid"]),
        unknown(f"{APPLE}10.2", b"17.4.1"),
        *([unknown(f"{APPLE}11.1", told["nonce"])] if told["nonce"] is not None else []),
        *told["extra"],
    ]
    leaf = maker.certify("key", key, extensions, until=changes.get("until", NOT_AFTER))
    return response("apple", {"x5c": [der_of(leaf), der_of(maker.authority)]})


class YubiKey:
    """A card with a made key, and what a client of step's format sends of it."""

    def __init__(self, maker=None, serial=4711):
        self.maker = maker or Maker()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.f9 = ec.generate_private_key(ec.SECP256R1())
        self.own = self.maker.certify(self.f9)
        slot = SlotKey(
            KeyType.ECCP256, self.key, PinPolicy.ONCE, TouchPolicy.CACHED, generated=True
        )
        device = Device((5, 7, 1), serial, 3, fips=False)
        self.attestation = attest(0x9C, slot, self.f9, certificate_object(self.own), device)

    @property
    def roots(self):
        """PEM, as a policy holds it; authorities between included."""
        above = (self.maker.root, *self.maker.intermediates)
        return ("".join(one.public_bytes(Encoding.PEM).decode() for one in above),)

    def response(self, **changes):
        """Return what a client sends; ``changes`` are its oddities."""
        signature = self.key.sign(KEY_AUTHORIZATION.encode(), ec.ECDSA(hashes.SHA256()))
        usual = {"x5c": [self.attestation, self.own], "alg": -7, "sig": cbor2.dumps(signature)}
        return response("step", {**usual, **changes})


@dataclass
class Tpm:
    """A TPM whose attestation key a maker certified; ``form`` is the kind of its signature."""

    maker: Maker2
    attributes: int = 0x00040072
    """fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, sign."""
    extra_data: bytes = hashlib.sha256(KEY_AUTHORIZATION.encode()).digest()
    magic: int = 0xFF544347
    kind: int = 0x8017
    form: str = "structure"

    def __post_init__(self):
        """Make both keys."""
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.attestation_key = rsa.generate_private_key(65537, 2048)

    @property
    def certificate(self):
        """That of the attestation key, as WebAuthn section 8.3.1 wants it."""
        return self.certified()

    def certified(self, subject="", uses=("2.23.133.8.3",), names=TPM_NAMES, **changes):
        """Return the certificate with oddities."""
        oids = ("2.23.133.2.1", "2.23.133.2.2", "2.23.133.2.3")
        kinds = [
            x509.NameAttribute(x509.ObjectIdentifier(oid), value)
            for oid, value in zip(oids, names, strict=False)
        ]
        identifier = der.sequence(der.element(0x0C, PERMANENT.encode()))
        alternative = x509.SubjectAlternativeName(
            [
                x509.DirectoryName(x509.Name(kinds)),
                x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.3"), identifier),
                x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4"), MODULE),
            ]
        )
        purposes = x509.ExtendedKeyUsage([x509.ObjectIdentifier(one) for one in uses])
        extensions = [(alternative, True), (purposes, False)]
        return self.maker.certify(subject, self.attestation_key, extensions, **changes)

    @property
    def public_area(self):
        """TPMT_PUBLIC of the key."""
        numbers = self.key.public_key().public_numbers()
        return b"".join(
            (
                b"\x00\x23\x00\x0b",
                self.attributes.to_bytes(4, "big"),
                sized(b""),
                b"\x00\x10\x00\x10\x00\x03\x00\x10",
                sized(numbers.x.to_bytes(32, "big")),
                sized(numbers.y.to_bytes(32, "big")),
            )
        )

    @property
    def certify_info(self):
        """TPMS_ATTEST about the key."""
        name = b"\x00\x0b" + hashlib.sha256(self.public_area).digest()
        return b"".join(
            (
                self.magic.to_bytes(4, "big") + self.kind.to_bytes(2, "big"),
                sized(b"\x00\x0b" + bytes(32)),
                sized(self.extra_data),
                bytes(17 + 8),
                sized(name) + sized(name),
            )
        )

    def response(self, **changes):
        """Return what a client sends."""
        info = self.certify_info
        signature = self.attestation_key.sign(info, padding.PKCS1v15(), hashes.SHA256())
        if self.form == "structure":
            signature = b"\x00\x14\x00\x0b" + sized(signature)
        usual = {
            "ver": "2.0",
            "alg": -257,
            "x5c": [der_of(self.certificate), der_of(self.maker.authority)],
            "sig": signature,
            "certInfo": info,
            "pubArea": self.public_area,
        }
        return response("tpm", {**usual, **changes})


def ecdsa_structure(signature):
    """Return TPMT_SIGNATURE of an ECDSA signature."""
    r, s = utils.decode_dss_signature(signature)
    return b"\x00\x18\x00\x0b" + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))


def sized(octets):
    """Return TPM2B."""
    return len(octets).to_bytes(2, "big") + octets


def digest(key):
    """Return the fact that binds a key."""
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()
