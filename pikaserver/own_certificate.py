"""The server's own TLS certificate: from its own authority, renewed by itself, no restart."""

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from threading import Lock

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509.oid import NameOID

from pikaserver.api.certificates import CertificateQuery, CertificateRecord, CertificateStatus
from pikaserver.api.errors import ConfigurationError, PikaserverError
from pikaserver.api.issuance import EnrollmentRequest, Issued, Requester
from pikaserver.api.operations import Health, HealthState
from pikaserver.api.signing import (
    KeyDescription,
    KeyExporter,
    KeyReference,
    KeyRemover,
    SignerBackend,
)
from pikaserver.asn1.algorithms import default_algorithm
from pikaserver.asn1.csr import assemble_csr, read_csr, request_info
from pikaserver.asn1.pem import write_pem
from pikaserver.asn1.serials import write_serial
from pikaserver.server import PkiServer
from pikaserver.signing.sign import sign_tbs
from pikaserver.web.tls_contexts import TlsIdentity

PREFIX = "server.tls-"
"""Keys of this module begin so; an authority's begin with its name, which has no dot."""

TEMPLATES = ("tls", "web")
"""The first of them that exists; see `pikaserver.first_start.TLS`."""
KEY_TYPE = "ec-p256"
RETRY = timedelta(minutes=1)
"""While there is a certificate that serves, another one is tried so often at most."""
REQUESTER = "server:tls"

_log = logging.getLogger(__name__)


class OwnCertificate:
    """Keeps one certificate for the names by which clients reach this server."""

    def __init__(self, server: PkiServer, names: Sequence[str]) -> None:
        self._server = server
        self._names = tuple(dict.fromkeys(map(_canonical, names)))
        self._lock = Lock()
        self._identity: TlsIdentity | None = None
        self._failure: str | None = None
        self._last_attempt: datetime | None = None

    def identity(self) -> TlsIdentity:
        """Return the newest valid certificate with its key; one is made when it is time.

        The listeners ask again and again, so a renewal needs neither a job nor a restart.

        Raises:
            PikaserverError: there is none and none can be made.
        """
        with self._lock:
            found = self._newest()
            if found is None or self._is_due(found[1]):
                found = self._renewed(found)
            if self._identity is None or self._identity.version != found[1].fingerprint:
                self._identity = self._load(*found)
            return self._identity

    def _renewed(
        self, present: tuple[KeyReference, CertificateRecord] | None
    ) -> tuple[KeyReference, CertificateRecord]:
        now = self._server.clock()
        if present is not None and self._last_attempt and now < self._last_attempt + RETRY:
            return present
        self._last_attempt = now
        try:
            made = self._make()
        except PikaserverError as error:
            self._failure = str(error)
            if present is None:
                raise
            _log.warning("own certificate not renewed", extra={"event": "tls.failed"})
            return present
        self._failure = None
        self._remove_expired_keys()
        return made

    def health(self) -> Health:
        """Tell whether the last renewal worked."""
        if self._failure is not None:
            return Health(HealthState.DEGRADED, f"not renewed: {self._failure}")
        return Health(HealthState.OK, "valid")

    def _is_due(self, record: CertificateRecord) -> bool:
        life = record.not_after - record.not_before
        if self._server.clock() >= record.not_before + life * 2 / 3:
            return True
        if record.template != self._template():
            return True
        wanted = {f"ip:{name}" if _is_ip(name) else f"dns:{name}" for name in self._names}
        return not wanted <= set(record.names)

    def _newest(self) -> tuple[KeyReference, CertificateRecord] | None:
        found = [
            (key.reference, record)
            for key in self._keys()
            for record in self._records(key, CertificateStatus.VALID)
            if record.requester == REQUESTER
        ]
        return max(found, key=lambda pair: pair[1].id, default=None)

    def _keys(self) -> list[KeyDescription]:
        backend = self._server.signers.backend(KeyReference("software", PREFIX))
        return [key for key in backend.keys() if key.reference.name.startswith(PREFIX)]

    def _records(
        self, key: KeyDescription, status: CertificateStatus | None
    ) -> Sequence[CertificateRecord]:
        digest = hashlib.sha256(key.public_key).hexdigest()
        return self._server.certificates.find(CertificateQuery(key_hash=digest, status=status))

    def _template(self) -> str:
        known = self._server.templates.names()
        return next((name for name in TEMPLATES if name in known), TEMPLATES[-1])

    def _make(self) -> tuple[KeyReference, CertificateRecord]:
        reference = KeyReference("software", PREFIX + self._server.entropy(6).hex())
        backend = self._server.signers.backend(reference)
        spki = backend.generate(reference, KEY_TYPE, exportable=True)
        try:
            record = self._enroll(backend, reference, spki)
        except PikaserverError:
            if isinstance(backend, KeyRemover):
                backend.remove_key(reference)
            raise
        _log.info(
            "own certificate issued",
            extra={"event": "tls.issued", "serial": write_serial(record.serial)},
        )
        return reference, record

    def _enroll(
        self, backend: SignerBackend, reference: KeyReference, spki: bytes
    ) -> CertificateRecord:
        template = self._template()
        # Asked before, for a request that waits would be left behind each time.
        if self._server.templates.get(template).approval:
            raise _waits(template)
        algorithm = default_algorithm(KEY_TYPE)
        info = request_info(self._subject(), spki, [self._alternative_names()])
        signature = sign_tbs(backend.open(reference, algorithm), info, spki)
        request = EnrollmentRequest(
            csr=read_csr(assemble_csr(info, algorithm, signature)),
            requester=Requester(REQUESTER, "operator"),
            template=template,
            door="cli",
        )
        outcome = self._server.enroll(request)
        if not isinstance(outcome, Issued):
            raise _waits(template)
        return outcome.record

    def _load(self, reference: KeyReference, record: CertificateRecord) -> TlsIdentity:
        backend = self._server.signers.backend(reference)
        if not isinstance(backend, KeyExporter):
            raise ConfigurationError("the software keys cannot be exported to the listener")
        key = load_der_private_key(backend.export_key(reference), None)
        issued = self._server.enrollment.issued(record)
        # The root is left out: who trusts it has it, who does not gains nothing by it.
        chain = [issued.certificate, *issued.chain[: max(len(issued.chain) - 1, 0)]]
        return TlsIdentity(
            chain=b"".join(write_pem("CERTIFICATE", der) for der in chain),
            key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            version=record.fingerprint or "",
        )

    def _remove_expired_keys(self) -> None:
        backend = self._server.signers.backend(KeyReference("software", PREFIX))
        if not isinstance(backend, KeyRemover):
            return
        for key in self._keys():
            records = self._records(key, status=None)
            if records and all(self._server.clock() > one.not_after for one in records):
                backend.remove_key(key.reference)

    def _subject(self) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._names[0])])

    def _alternative_names(self) -> x509.Extension[x509.ExtensionType]:
        names = x509.SubjectAlternativeName(
            [
                x509.IPAddress(ip_address(name)) if _is_ip(name) else x509.DNSName(name)
                for name in self._names
            ]
        )
        return x509.Extension(names.oid, critical=False, value=names)


def _waits(template: str) -> ConfigurationError:
    return ConfigurationError(
        f"template {template!r} wants an approval, so the server's own certificate waits"
    )


def _canonical(name: str) -> str:
    """Return a name as certificates carry it, so that it is found in them again."""
    return str(ip_address(name)) if _is_ip(name) else name.lower()


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
