"""A server in memory for tests of plugins: real certificates, no settings file, no socket.

It issues what it is asked to, within the few rules that doors rely on: the template is there
and open to the door, the credential is good for it, a proof is spent once, a renewal keeps
subject and names.  What the real server does beyond that is not a door's business.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

import falcon
from cryptography import x509
from pydantic import BaseModel

from pikaserver.api.certificates import CertificateRecord, CertificateStatus, Revocation
from pikaserver.api.errors import (
    Conflict,
    NotAllowed,
    PikaserverError,
    RequestRejected,
)
from pikaserver.api.issuance import (
    CertificationRequest,
    EnrollmentRequest,
    Issued,
    Pending,
    Requester,
    RequestRecord,
    RequestState,
)
from pikaserver.api.operations import Event
from pikaserver.api.server import Server, Settings
from pikaserver.api.templates import Template
from pikaserver.asn1.csr import verify_possession
from pikaserver.asn1.names import general_name_text
from pikaserver.authority.key_challenges import ChallengeBook
from pikaserver.authority.related import PairDirectory
from pikaserver.signing.generated_keys import SoftwareKeyGenerator
from pikaserver.signing.sealed_secrets import SealedSecrets, key_realm
from pikaserver.signing.sealing import KEY_OCTETS, FileKey
from pikaserver.storage.lockouts import SharedLockouts
from pikaserver.testing.clock import CountedEntropy, FrozenClock
from pikaserver.testing.fake_codes import FakeCodes
from pikaserver.testing.fake_holders import FakeDevices, FakeRenewals
from pikaserver.testing.fake_pairs import FakePairs
from pikaserver.testing.fake_parts import FakeAudit, FakeDatabase, FakeRequests, FakeTemplates
from pikaserver.testing.fake_records import FakeAuthorities, FakeCertificates, FakeCrls
from pikaserver.testing.fake_services import FakeServices
from pikaserver.testing.templates import make_template
from pikaserver.web.authentication import (
    CertificateAuthenticator,
    CodeAuthenticator,
    first_credential,
)

RETRY_AFTER = 120
"""Seconds after which a request that waits may be sent again."""


class FakeServer:
    """See ``pikaserver.api.server.Server``; with a root, ``issuing`` and the template ``device``.

    ``wishes`` are the requests that came down the road; `refuse_next` lets the next one fail.
    """

    def __init__(
        self, settings: Iterable[BaseModel] = (), clock: FrozenClock | None = None
    ) -> None:
        self._settings = {type(each): each for each in settings}
        self._refusal: PikaserverError | None = None
        self.clock = clock or FrozenClock()
        self.entropy = CountedEntropy()
        self.database = FakeDatabase()
        self.authorities = FakeAuthorities(self.clock, self.entropy)
        self.certificates = FakeCertificates(self.clock, self.authorities)
        self.templates = FakeTemplates()
        self.crls = FakeCrls(self.authorities, self.certificates, self.clock)
        self.requests = FakeRequests()
        self.codes = FakeCodes()
        self.lockouts = SharedLockouts(self.database, self.clock)
        self.services = FakeServices(self.authorities, self.certificates, self.clock)
        self.devices = FakeDevices()
        self.renewals = FakeRenewals(self.certificates, self.clock)
        self.audit = FakeAudit()
        self._kek = FileKey(self.entropy(KEY_OCTETS), self.entropy)
        self.secrets = SealedSecrets(self._kek, self.entropy)
        self.key_challenges = ChallengeBook(self.secrets, self.clock, self.entropy)
        self.key_generator = SoftwareKeyGenerator(self.key_challenges)
        self.node = 1
        self.ports: frozenset[int] = frozenset()
        self.retry_after = RETRY_AFTER
        self.events: list[Event] = []
        self.wishes: list[EnrollmentRequest] = []
        self._authenticators = (
            CodeAuthenticator(self.codes, self.clock, self.lockouts),
            CertificateAuthenticator(self.certificates, self.clock),
        )
        self.authorities.add("root")
        self.authorities.add("issuing", "root")
        self.templates.add(make_template())
        directory = PairDirectory(self.certificates)
        self.pairs = FakePairs(directory, self.templates, self.requests, self.enroll, self._issue)

    def settings(self, model: type[Settings]) -> Settings:
        """Return the settings given to the constructor, else the model's defaults."""
        found = self._settings.get(model)
        return found if isinstance(found, model) else model()

    def key_secrets(self, scheme: str) -> SealedSecrets:
        """Return what the server gives the signer backend of this scheme and nobody else."""
        return SealedSecrets(self._kek, self.entropy, key_realm(scheme))

    def announce(self, event: Event) -> None:
        """See ``pikaserver.api.server.Server``."""
        self.events.append(event)

    def base_url(self, service: str) -> str | None:
        """See ``pikaserver.api.server.Server``."""
        return f"https://{service}.pki.example"

    def local_urls(self, service: str) -> Sequence[str]:
        """See ``pikaserver.api.server.Server``; nothing listens."""
        return ()

    def own_ports(self) -> frozenset[int]:
        """See ``pikaserver.api.server.Server``; a test may say which."""
        return self.ports

    def authenticate(
        self, request: falcon.Request, methods: Sequence[str] | None = None
    ) -> Requester:
        """See ``pikaserver.api.server.Server``."""
        return first_credential(self._authenticators, request, methods)

    def refuse_next(self, error: PikaserverError) -> None:
        """Let the next enrolment end in this error."""
        self._refusal = error

    def enroll(self, request: EnrollmentRequest) -> Issued | Pending:
        """See ``pikaserver.api.server.Server``; the rules are in this module's docstring."""
        self.wishes.append(request)
        if self._refusal is not None:
            refusal, self._refusal = self._refusal, None
            raise refusal
        template = self.templates.get(request.template)
        self._check_possession(request)
        _check_rights(request, template)
        wanted = template.approval or request.approval
        waiting = self._waiting(request, template) if wanted else None
        if waiting is not None and waiting.state is not RequestState.APPROVED:
            return Pending(waiting.id, self.retry_after, ())
        if request.requester.proof is not None:
            with self.database.transaction() as connection:
                request.requester.proof.spend(connection)
        issued = self._issue(request, template)
        if waiting is not None:
            self.requests.records[waiting.id] = replace(
                waiting, state=RequestState.ISSUED, certificate_id=issued.record.id
            )
        return issued

    def _check_possession(self, request: EnrollmentRequest) -> None:
        if request.answer is not None:
            self.key_challenges.check(request.csr, request.answer)
        else:
            verify_possession(request.csr)

    def approve(self, request_id: int) -> None:
        """Let a request that waits have its certificate when it is sent again."""
        record = self.requests.get(request_id)
        self.requests.records[request_id] = replace(record, state=RequestState.APPROVED)

    def issue(self, csr: CertificationRequest, template: str = "device") -> CertificateRecord:
        """Give a test a certificate of ours without a door."""
        requester = Requester("test", "test")
        wish = EnrollmentRequest(csr, requester, template, "test")
        return self._issue(wish, self.templates.get(template)).record

    def revoke(
        self, record: CertificateRecord, revocation: Revocation, actor: str
    ) -> CertificateRecord:
        """See ``pikaserver.api.server.Server``."""
        if record.status is CertificateStatus.REVOKED:
            raise Conflict("it is revoked already")
        return self.certificates.add(replace(record, revocation=revocation))

    def release(self, record: CertificateRecord, actor: str) -> CertificateRecord:
        """See ``pikaserver.api.server.Server``."""
        if record.status is not CertificateStatus.ON_HOLD:
            raise Conflict("it is not on hold")
        return self.certificates.add(replace(record, revocation=None))

    def _waiting(self, request: EnrollmentRequest, template: Template) -> RequestRecord:
        requester, csr = request.requester.name, request.csr.der
        for record in self.requests.records.values():
            if (record.requester, record.csr) == (requester, csr):
                return record
        record = RequestRecord(
            id=len(self.requests.records) + 1,
            state=RequestState.PENDING,
            template=template.name,
            template_version=template.version,
            door=request.door,
            requester=requester,
            csr=csr,
            subject=request.csr.subject.rfc4514_string(),
            names=(),
            created_at=self.clock(),
            decided_by=None,
            comment=None,
            certificate_id=None,
        )
        self.requests.records[record.id] = record
        return record

    def _issue(
        self,
        request: EnrollmentRequest,
        template: Template,
        more: Sequence[x509.ExtensionType] = (),
    ) -> Issued:
        authority = self.authorities.keys[template.authority][0]
        now, csr = self.clock(), request.csr
        then = now + template.validity.period
        extensions = [(value, False) for value in more]
        certificate = authority.certify(
            csr.public_key, csr.subject, now, then, names=csr.names, extensions=extensions
        )
        record = self.certificates.add(
            CertificateRecord(
                id=len(self.certificates.records) + 1,
                authority=template.authority,
                generation=len(self.authorities.keys[template.authority]),
                serial=x509.load_der_x509_certificate(certificate).serial_number,
                status=CertificateStatus.VALID,
                certificate=certificate,
                fingerprint=hashlib.sha256(certificate).hexdigest(),
                subject=csr.subject.rfc4514_string(),
                names=tuple(general_name_text(name) for name in csr.names),
                not_before=now,
                not_after=then,
                template=template.name,
                template_version=template.version,
                door=request.door,
                requester=request.requester.name,
                issued_at=now,
                revocation=None,
            )
        )
        return Issued(record, certificate, (authority.certificate, *authority.chain), ())


def _check_rights(request: EnrollmentRequest, template: Template) -> None:
    requester = request.requester
    if not template.enabled or request.door not in template.doors:
        raise RequestRejected(f"the template {template.name!r} is not open to {request.door}")
    if requester.method not in template.proofs:
        raise NotAllowed(f"the template {template.name!r} takes no {requester.method}")
    if requester.templates is not None and template.name not in requester.templates:
        raise NotAllowed(f"this credential is not for the template {template.name!r}")
    if request.renews is not None and (
        request.csr.subject.rfc4514_string() != request.renews.subject
        or tuple(map(general_name_text, request.csr.names)) != request.renews.names
    ):
        raise RequestRejected("a renewal keeps subject and names")


# mypy holds the fake to the Protocol here.
_PROMISE: type[Server] = FakeServer
