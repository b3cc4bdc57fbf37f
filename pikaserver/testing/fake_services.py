"""Keys of services, certified by throw-away authorities."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.errors import Conflict, PikaserverError
from pikaserver.api.operations import Clock
from pikaserver.api.registrars import CMC_RA
from pikaserver.api.services import DecryptionKey, ServiceKey, ServiceUse
from pikaserver.testing.fake_records import FakeAuthorities, FakeCertificates
from pikaserver.testing.throw_away import ThrowAwayAuthority

_PURPOSES = {
    "ocsp": ExtendedKeyUsageOID.OCSP_SIGNING,
    "tsa": ExtendedKeyUsageOID.TIME_STAMPING,
    "cmc": CMC_RA,
}
LIFETIME = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class FakeServiceKey:
    """See ``pikaserver.api.services.ServiceKey``; ``key`` is P-256."""

    certificate: bytes
    chain: tuple[bytes, ...]
    key: ec.EllipticCurvePrivateKey
    algorithm: str = "ecdsa-sha256"

    def sign(self, tbs: bytes, content: bytes = b"") -> bytes:
        """See the protocol."""
        return self.key.sign(tbs, ec.ECDSA(hashes.SHA256()))

    def with_hash(self, name: str) -> ServiceKey:
        """See the protocol; P-256 goes with its own hash."""
        raise Conflict(f"this key is not RSA, so it does not sign over {name}")


class FakeServices:
    """See ``pikaserver.api.services.ServiceKeys``; ``keys`` may be changed by a test.

    Their certificates are among the issued ones; one that is revoked is replaced.  While there
    is a ``failure``, nobody gets a key.
    """

    def __init__(
        self, authorities: FakeAuthorities, certificates: FakeCertificates, clock: Clock
    ) -> None:
        self._authorities = authorities
        self._certificates = certificates
        self._clock = clock
        self.keys: dict[ServiceUse, ServiceKey] = {}
        self.failure: PikaserverError | None = None

    def get(self, use: ServiceUse) -> ServiceKey:
        """See the protocol; a key is made once for each use."""
        if self.failure is not None:
            raise self.failure
        if use not in self.keys or self._is_revoked(self.keys[use].certificate):
            self.keys[use] = self._made(use)
        return self.keys[use]

    def authority_key(self, authority: str, generation: int | None = None) -> ServiceKey:
        """See the protocol."""
        own = self._own(authority, generation)
        return FakeServiceKey(own.certificate, tuple(own.chain), own.key)

    def decryption_keys(self, use: ServiceUse) -> Sequence[DecryptionKey]:
        """See the protocol; fakes are P-256, which does not decrypt."""
        return ()

    def authority_decryption_key(
        self, authority: str, generation: int | None = None
    ) -> DecryptionKey:
        """See the protocol."""
        raise Conflict(f"the key of the throw-away authority {authority!r} does not decrypt")

    def _own(self, authority: str, generation: int | None) -> ThrowAwayAuthority:
        keys = self._authorities.keys[authority]  # newest first; their numbers begin with one
        return keys[0 if generation is None else len(keys) - generation]

    def _is_revoked(self, certificate: bytes) -> bool:
        records = self._certificates.records.values()
        return any(one.certificate == certificate and one.revocation for one in records)

    def _made(self, use: ServiceUse) -> FakeServiceKey:
        issuer, key = (
            self._own(use.authority, use.generation),
            ec.generate_private_key(ec.SECP256R1()),
        )
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, use.title)])
        now = self._clock()
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.ExtendedKeyUsage([_PURPOSES[use.service]]), use.service == "tsa")
        ]
        if use.service == "ocsp":
            extensions.append((x509.OCSPNoCheck(), False))
        certificate = issuer.certify(spki, name, now, now + LIFETIME, extensions=extensions)
        self._certificates.add(self._record(use, certificate))
        return FakeServiceKey(certificate, (issuer.certificate, *issuer.chain), key)

    def _record(self, use: ServiceUse, certificate: bytes) -> CertificateRecord:
        loaded = x509.load_der_x509_certificate(certificate)
        current = len(self._authorities.keys[use.authority])
        return CertificateRecord(
            id=max(self._certificates.records, default=0) + 1,
            authority=use.authority,
            generation=use.generation or current,
            serial=loaded.serial_number,
            status=CertificateStatus.VALID,
            certificate=certificate,
            fingerprint=loaded.fingerprint(hashes.SHA256()).hex(),
            subject=loaded.subject.rfc4514_string(),
            names=(),
            not_before=loaded.not_valid_before_utc,
            not_after=loaded.not_valid_after_utc,
            template=use.service,
            template_version=1,
            door=use.service,
            requester=f"server:{use.service}",
            issued_at=self._clock(),
            revocation=None,
        )
