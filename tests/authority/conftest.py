"""What tests of the pure policies share: templates, requests and certificates to judge."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, settings

from pikaserver.api.issuance import CertificationRequest
from pikaserver.api.templates import Template
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.authority.naming.attributes import ATTRIBUTES
from pikaserver.authority.templates.documents import read_template

# A machine that is busy with other things is no failure of ours.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
ECDSA = SIGNATURE_ALGORITHMS["ecdsa-sha256"].identifier


def spki(seed: int) -> bytes:
    """Return the public half of a key that is the same in every run."""
    key = ec.derive_private_key(0x1234567890ABCDEF << 64 | seed, ec.SECP256R1())
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def name(**attributes: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(ATTRIBUTES[short].oid, value) for short, value in attributes.items()]
    )


@pytest.fixture(scope="session")
def template() -> Callable[..., Template]:
    """Make a template from lines that are added to a short valid document."""

    def make(subject: str = "", names: str = "", **keys: str) -> Template:
        tables = {"key": 'types = ["ec-p256"]', "validity": 'period = "90d"', **keys}
        document = 'authority = "issuing"\ndoors = ["est"]\nproofs = ["code"]\n'
        document += f'[subject]\nfrom-request = ["CN", "O", "OU"]\n{subject}\n{names}\n'
        document += "".join(f"[{table}]\n{lines}\n" for table, lines in tables.items())
        return read_template(document, name="web", version=1)

    return make


@pytest.fixture(scope="session")
def request_for() -> Callable[..., CertificationRequest]:
    """Make a request as `read_csr` returns it; nothing of it is signed."""

    def make(*names: x509.GeneralName, subject: x509.Name | None = None) -> CertificationRequest:
        return CertificationRequest(
            der=b"",
            tbs=b"",
            subject=subject or x509.Name([]),
            public_key=spki(1),
            names=names,
            extensions=(),
            challenge_password=None,
            signature_algorithm=ECDSA,
            signature=b"",
        )

    return make


class Certificates:
    """Writes certificates part by part, so that each part can be wrong."""

    def __init__(self) -> None:
        self.key_identifier = x509.SubjectKeyIdentifier(b"\x01" * 20)
        self.above = self.authority()

    @staticmethod
    def name(**attributes: str) -> x509.Name:
        """Return a name of attributes by their short names."""
        return name(**attributes)

    @staticmethod
    def usage(*bits: str, critical: bool = True) -> x509.Extension[x509.KeyUsage]:
        """Return a key usage with these bits."""
        return usage_extension(*bits, critical=critical)

    @staticmethod
    def plain(value: x509.ExtensionType) -> x509.Extension[x509.ExtensionType]:
        """Return an extension that is not critical."""
        return plain(value)

    @staticmethod
    def critical(value: x509.ExtensionType) -> x509.Extension[x509.ExtensionType]:
        """Return an extension that is critical."""
        return x509.Extension(value.oid, critical=True, value=value)

    def authority(self, **changes: object) -> x509.Certificate:
        """Return a good root certificate with some parts changed."""
        extensions = {
            "basic": self.critical(x509.BasicConstraints(ca=True, path_length=2)),
            "usage": usage_extension("key_cert_sign", "crl_sign"),
            "ski": plain(self.key_identifier),
        }
        return self._write(
            {"subject": name(O="Example", CN="Root"), "days": 3650}, extensions, changes
        )

    def leaf(self, **changes: object) -> x509.Certificate:
        """Return a good server certificate with some parts changed."""
        names = x509.SubjectAlternativeName([x509.DNSName("www.example.com")])
        extensions = {
            "basic": self.critical(x509.BasicConstraints(ca=False, path_length=None)),
            "usage": usage_extension("digital_signature"),
            "purposes": plain(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])),
            "names": plain(names),
            "ski": plain(x509.SubjectKeyIdentifier(b"\x02" * 20)),
            "aki": plain(x509.AuthorityKeyIdentifier(b"\x01" * 20, None, None)),
        }
        return self._write({"subject": name(CN="www.example.com"), "days": 90}, extensions, changes)

    def _write(
        self,
        parts: Mapping[str, object],
        extensions: Mapping[str, x509.Extension[x509.ExtensionType]],
        changes: Mapping[str, object],
    ) -> x509.Certificate:
        known = {*extensions, *EXTRA}
        wanted = {**extensions, **{key: changes[key] for key in known & changes.keys()}}
        parts = {**DEFAULTS, **parts, **{key: changes[key] for key in changes.keys() - known}}
        listed = [_extension(found) for found in wanted.values() if found is not None]
        tbs = der.sequence(
            parts["version"],
            der.integer(parts["serial"]),
            parts["inner"],
            _name(parts["issuer"]),
            der.sequence(
                parts["before"] or der.time(NOW),
                parts["after"] or der.time(NOW + timedelta(days=parts["days"])),
            ),
            _name(parts["subject"]),
            parts["spki"],
            parts["unique"],
            der.context(3, der.sequence(*listed, parts["raw"])) if listed or parts["raw"] else b"",
        )
        return x509.load_der_x509_certificate(der.signed(tbs, parts["outer"], bytes(64)))


DEFAULTS = {
    "version": der.context(0, der.integer(2)),
    "serial": 1 << 130,
    "inner": ECDSA,
    "outer": ECDSA,
    "issuer": name(O="Example", CN="Root"),
    "before": None,
    "after": None,
    "spki": spki(2),
    "unique": b"",
    "raw": b"",
}
EXTRA = ("cdp", "fresh", "aia", "policies", "constraints", "inhibit", "policy", "no_check")


def plain(value: x509.ExtensionType) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical=False, value=value)


def usage_extension(*bits: str, critical: bool = True) -> x509.Extension[x509.KeyUsage]:
    fields = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    value = x509.KeyUsage(**{field: field in bits for field in fields})
    return x509.Extension(value.oid, critical, value)


def _extension(found: x509.Extension[x509.ExtensionType]) -> bytes:
    critical = der.boolean(value=True) if found.critical else b""
    octets = der.octet_string(found.value.public_bytes())
    return der.sequence(der.oid(found.oid.dotted_string), critical, octets)


def _name(value: x509.Name | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.public_bytes()


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return Certificates()
