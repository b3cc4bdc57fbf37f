"""Payloads of configuration profiles, as Apple's device management describes them.

A profile is a property list of the type ``Configuration``; its content are payloads: here the
certificates to trust, and SCEP or ACME for an identity.
"""

import hashlib
import plistlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.operations import Entropy

CONFIGURATION = "Configuration"
ROOT = "com.apple.security.root"
CERTIFICATE = "com.apple.security.pkcs1"
SCEP = "com.apple.security.scep"
ACME = "com.apple.security.acme"

SIGNING, ENCRYPTION = 1, 4
"""Bits of ``KeyUsage`` and ``UsageFlags``."""

# What may be written short; everything else by its number.
_SHORT = {
    NameOID.COUNTRY_NAME: "C",
    NameOID.LOCALITY_NAME: "L",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COMMON_NAME: "CN",
}

Payload = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Names:
    """Subject alternative names, as far as these payloads have them: one of each kind."""

    dns: str | None = None
    email: str | None = None
    uri: str | None = None
    upn: str | None = None

    def written(self) -> dict[str, str]:
        """Return ``SubjectAltName``."""
        fields = {
            "dNSName": self.dns,
            "rfc822Name": self.email,
            "uniformResourceIdentifier": self.uri,
            "ntPrincipalName": self.upn,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Scep:
    """How the device enrols by SCEP (RFC 8894); its keys are RSA."""

    url: str
    name: str
    subject: x509.Name
    names: Names
    challenge: str = field(repr=False)
    key_bits: int
    usage: int
    fingerprint: bytes | None
    retries: int = 3
    retry_delay: int = 10


@dataclass(frozen=True, slots=True)
class Acme:
    """How the device enrols by ACME; the key is made in its Secure Enclave and attested."""

    directory: str
    client_identifier: str = field(repr=False)
    subject: x509.Name
    names: Names
    extended_key_usage: Sequence[str] = ()
    curve_bits: int = 384
    attest: bool = True


@dataclass(frozen=True, slots=True)
class Described:
    """What people see of a profile; ``identifier`` decides which one replaces which."""

    identifier: str
    name: str
    organization: str
    description: str


class Writer:
    """Writes profiles; each payload gets a UUID of its own."""

    def __init__(self, described: Described, entropy: Entropy) -> None:
        self._described = described
        self._entropy = entropy

    def profile(self, payloads: Sequence[Payload]) -> bytes:
        """Return the property list."""
        described = self._described
        return plistlib.dumps(
            {
                **self._frame(CONFIGURATION, "", described.name),
                "PayloadDescription": described.description,
                "PayloadOrganization": described.organization,
                "PayloadRemovalDisallowed": False,
                "PayloadContent": list(payloads),
            }
        )

    def trust(self, chain: Sequence[bytes]) -> list[Payload]:
        """Return one payload per certificate; the last one of a chain is its root."""
        found: list[Payload] = []
        for certificate in chain:
            loaded = x509.load_der_x509_certificate(certificate)
            root = loaded.subject == loaded.issuer
            part = "trust." + hashlib.sha256(certificate).hexdigest()[:12]
            found.append(
                {
                    **self._frame(ROOT if root else CERTIFICATE, part, _title(loaded.subject)),
                    "PayloadCertificateFileName": f"{part}.cer",
                    "PayloadContent": certificate,
                }
            )
        return found

    def scep(self, scep: Scep) -> Payload:
        """Return the payload for SCEP; its fields stand one level deeper than those of others."""
        content: dict[str, object] = {
            "URL": scep.url,
            "Name": scep.name,
            "Subject": subject_lists(scep.subject),
            "Challenge": scep.challenge,
            "Key Type": "RSA",
            "Keysize": scep.key_bits,
            "Key Usage": scep.usage,
            "Retries": scep.retries,
            "RetryDelay": scep.retry_delay,
        }
        if scep.names.written():
            content["SubjectAltName"] = scep.names.written()
        if scep.fingerprint is not None:
            content["CAFingerprint"] = scep.fingerprint
        return {**self._frame(SCEP, "scep", _title(scep.subject)), "PayloadContent": content}

    def acme(self, acme: Acme) -> Payload:
        """Return the payload for ACME."""
        content: dict[str, object] = {
            **self._frame(ACME, "acme", _title(acme.subject)),
            "DirectoryURL": acme.directory,
            "ClientIdentifier": acme.client_identifier,
            "KeyType": "ECSECPrimeRandom",
            "KeySize": acme.curve_bits,
            "HardwareBound": True,
            "Attest": acme.attest,
            "Subject": subject_lists(acme.subject),
            "UsageFlags": SIGNING,
        }
        if acme.names.written():
            content["SubjectAltName"] = acme.names.written()
        if acme.extended_key_usage:
            content["ExtendedKeyUsage"] = list(acme.extended_key_usage)
        return content

    def _frame(self, kind: str, part: str, title: str) -> dict[str, object]:
        identifier = self._described.identifier
        return {
            "PayloadType": kind,
            "PayloadVersion": 1,
            "PayloadIdentifier": f"{identifier}.{part}" if part else identifier,
            "PayloadUUID": str(uuid.UUID(bytes=self._entropy(16), version=4)).upper(),
            "PayloadDisplayName": title,
        }


def subject_lists(subject: x509.Name) -> list[list[list[str]]]:
    """Return a name as Apple writes it: RDNs of pairs, the most general first."""
    return [
        [[_SHORT.get(a.oid, a.oid.dotted_string), str(a.value)] for a in rdn]
        for rdn in subject.rdns
    ]


def _title(subject: x509.Name) -> str:
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else subject.rfc4514_string()
