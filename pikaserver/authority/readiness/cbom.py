"""The cryptographic bill of materials: CycloneDX 1.6 in JSON (ECMA-424)."""

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from cryptography import x509

from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.asn1.certificate import public_key_of
from pikaserver.asn1.identifiers import read_oid
from pikaserver.authority.readiness.algorithms import algorithm_properties, key_bits_of
from pikaserver.authority.readiness.assets import Asset, category

Component = dict[str, object]
Bom = dict[str, object]

_STATES = {"valid": "active", "on-hold": "suspended"}


def cbom(assets: Iterable[Asset], now: datetime, random: bytes, version: str) -> Bom:
    """Return the document; everything in it is told once.

    Args:
        assets: what to list.
        now: when it is made.
        random: 16 octets, by which this document is known.
        version: of this program.
    """
    made = _Parts()
    for asset in assets:
        made.add(asset)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=random[:16], version=4)}",
        "version": 1,
        "metadata": {
            "timestamp": _moment(now),
            "tools": {"components": [_program(version)]},
            "component": _program(version),
        },
        "components": list(made.components.values()),
        "dependencies": [
            # An issuer that is elsewhere is not listed.
            {"ref": ref, "dependsOn": sorted(others & made.components.keys())}
            for ref, others in made.uses.items()
        ],
    }


class _Parts:
    """Components by their references, and which stands on which."""

    def __init__(self) -> None:
        self.components: dict[str, Component] = {}
        self.uses: dict[str, set[str]] = {}

    def add(self, asset: Asset) -> None:
        """Take in a key, its algorithm, and the certificate over it."""
        if asset.certificate is None:
            self._key(asset, f"key:{asset.kind}:{asset.label}", None)
            return
        certificate = x509.load_der_x509_certificate(asset.certificate)
        spki = public_key_of(certificate)
        key = f"key:{hashlib.sha256(spki).hexdigest()}"
        self._key(asset, key, spki)
        self._certificate(asset, certificate, key)

    def _certificate(self, asset: Asset, certificate: x509.Certificate, key: str) -> None:
        ref = _certificate_ref(asset.certificate or b"")
        properties: dict[str, object] = {
            "subjectName": certificate.subject.rfc4514_string(),
            "issuerName": certificate.issuer.rfc4514_string(),
            "notValidBefore": _moment(certificate.not_valid_before_utc),
            "notValidAfter": _moment(certificate.not_valid_after_utc),
            "subjectPublicKeyRef": key,
            "certificateFormat": "X.509",
        }
        uses = {key}
        if asset.signed_with is not None:
            algorithm = self._algorithm(asset.signed_with)
            properties["signatureAlgorithmRef"] = algorithm
            uses.add(algorithm)
        if asset.issuer is not None and asset.issuer != asset.certificate:
            uses.add(_certificate_ref(asset.issuer))
        self.components[ref] = {
            "type": "cryptographic-asset",
            "bom-ref": ref,
            "name": asset.label,
            "cryptoProperties": {"assetType": "certificate", "certificateProperties": properties},
            "properties": _notes(asset),
        }
        self.uses[ref] = uses

    def _key(self, asset: Asset, ref: str, spki: bytes | None) -> None:
        algorithm = self._algorithm(asset.key_type)
        properties: dict[str, object] = {
            "type": "public-key",
            "state": _STATES.get(asset.status, "deactivated"),
            "algorithmRef": algorithm,
        }
        if spki is not None:
            properties["id"] = hashlib.sha256(spki).hexdigest()
            properties["size"] = key_bits_of(asset.key_type, spki)
            properties["format"] = "SubjectPublicKeyInfo"
        if asset.not_after is not None:
            properties["expirationDate"] = _moment(asset.not_after)
        component: Component = {
            "type": "cryptographic-asset",
            "bom-ref": ref,
            "name": f"{asset.label} ({asset.key_type})",
            "cryptoProperties": {
                "assetType": "related-crypto-material",
                "relatedCryptoMaterialProperties": properties,
            },
        }
        if asset.certificate is None:
            component["properties"] = _notes(asset)
        self.components.setdefault(ref, component)
        self.uses.setdefault(ref, set()).add(algorithm)

    def _algorithm(self, name: str) -> str:
        ref = f"algorithm:{name}"
        if ref not in self.components:
            entry = SIGNATURE_ALGORITHMS.get(name)
            properties: dict[str, object] = {
                "assetType": "algorithm",
                "algorithmProperties": algorithm_properties(name, category(name)),
            }
            if entry is not None:
                properties["oid"] = read_oid(entry.identifier)
            self.components[ref] = {
                "type": "cryptographic-asset",
                "bom-ref": ref,
                "name": name,
                "cryptoProperties": properties,
            }
            self.uses[ref] = set()
        return ref


def _notes(asset: Asset) -> list[Mapping[str, str]]:
    def told() -> Iterator[tuple[str, str]]:
        yield "kind", asset.kind
        yield "exposure", asset.exposure
        yield "renewal", asset.renewal
        if asset.place is not None:
            yield "place", asset.place

    return [{"name": f"pikaserver:{name}", "value": value} for name, value in told()]


def _certificate_ref(octets: bytes) -> str:
    return f"certificate:{hashlib.sha256(octets).hexdigest()}"


def _program(version: str) -> Component:
    return {
        "type": "application",
        "name": "pikaserver",
        "version": version,
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
