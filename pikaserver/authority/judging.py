"""The first stretch of the one road: what the database says of a request, and what rules do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.issuance import (
    CertificationRequest,
    EnrollmentRequest,
    RequestRecord,
    Validator,
)
from pikaserver.api.operations import Clock
from pikaserver.api.storage import Database
from pikaserver.authority.admission import (
    admit,
    ask_validators,
    check_renewal,
    check_template,
)
from pikaserver.authority.authorities import AuthorityDirectory, AuthorityView, IssuingKey
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.possession import Possession
from pikaserver.authority.preparation import TemplateVersion
from pikaserver.authority.related import RelatedCertificates
from pikaserver.authority.renewal import as_holder, with_names_of
from pikaserver.authority.renewal_windows import RenewalWindows
from pikaserver.authority.requests import WaitingRequests
from pikaserver.authority.templates.directory import TemplateDirectory
from pikaserver.storage import certificates as certificates_storage


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database says when a request comes, read in one view.

    ``second`` is the template of a pair's second certificate, where one is asked for and the
    first template has one.
    """

    request: EnrollmentRequest
    version: TemplateVersion
    authorities: AuthorityView
    stored: RequestRecord | None
    second: TemplateVersion | None = None

    @property
    def issuer(self) -> IssuingKey:
        """The key that signs; a disabled or revoked one is found out no earlier than here."""
        return self.authorities.issuing_key(self.version.template.authority)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """Decides on requests; nothing is stored, spent or signed here."""

    database: Database
    authorities: AuthorityDirectory
    templates: TemplateDirectory
    waiting: WaitingRequests
    windows: RenewalWindows
    possession: Possession
    related: RelatedCertificates
    validators: Sequence[Validator]
    clock: Clock

    def facts(
        self,
        request: EnrollmentRequest,
        second: CertificationRequest | None = None,
        pair: str | None = None,
    ) -> Facts:
        """Look everything up at once.

        ``second`` is the other request of a pair, ``pair`` a template for it that somebody
        named who may name any.

        Raises:
            NotFound: no such template.
        """
        with self.database.reading() as connection:
            version = self.templates.version_in(connection, request.template)
            paired = (pair or version.template.related.pair) if second is not None else None
            return Facts(
                self._as_of_now(connection, request),
                version,
                self.authorities.view(connection),
                self.waiting.find_in(connection, request, second),
                self.templates.version_in(connection, paired) if paired else None,
            )

    def _as_of_now(self, connection: Connection, request: EnrollmentRequest) -> EnrollmentRequest:
        """Read the certificates that the door brought along again: their status counts now."""
        shown, renews = request.requester.certificate, request.renews
        if shown is not None:
            shown = certificates_storage.get(connection, shown.id, self.clock())
            request = replace(request, requester=replace(request.requester, certificate=shown))
        if renews is not None:
            renews = certificates_storage.get(connection, renews.id, self.clock())
            request = replace(request, renews=renews)
        return request

    def judge(
        self,
        request: EnrollmentRequest,
        version: TemplateVersion,
        trace: DecisionTrace,
        *,
        proved: bool = False,
    ) -> EnrollmentRequest:
        """Return the request as it may go on.

        ``proved`` says that the very same request came before, and proved possession then.

        Raises:
            RequestRejected: a rule refused it; the trace tells which.
            NotAuthenticated: what the requester shows does not count any more.
        """
        template = version.template
        admit(request, template, trace)
        self.possession.check(request, template, trace, proved=proved)
        request = as_holder(request, template, trace)
        if request.renews is not None:
            check_renewal(request.renews, template, self._may_renew, trace)
        request = with_names_of(request, template, trace)
        self.related.check(request, template, trace)
        ask_validators(self.validators, request, template, trace)
        return request

    def judge_second(
        self,
        request: EnrollmentRequest,
        first: CertificationRequest,
        version: TemplateVersion,
        trace: DecisionTrace,
    ) -> None:
        """Return when the second certificate of a pair may be issued to the same requester.

        What a credential is bound to is held against the first request: the second certificate
        is of the holder whom the first one names.

        Raises:
            RequestRejected: a rule refused it; the trace tells which.
            NotAuthenticated: what the requester shows does not count any more.
        """
        template = version.template
        said = replace(request.csr, subject=first.subject, names=first.names)
        admit(replace(request, csr=said), template, trace)
        self.possession.check(request, template, trace)
        as_holder(request, template, trace, beside=True)
        ask_validators(self.validators, request, template, trace)

    def judge_approved(
        self, request: EnrollmentRequest, version: TemplateVersion, trace: DecisionTrace
    ) -> EnrollmentRequest:
        """Return what somebody approved, as far as it still holds.

        Raises:
            RequestRejected: the template is closed by now.
            NotAuthenticated: the certificate that it renews is no longer valid.
        """
        check_template(request, version.template, trace)
        if request.renews is not None:
            check_renewal(request.renews, version.template, self._may_renew, trace)
        return with_names_of(request, version.template, trace)

    def _may_renew(self, old: CertificateRecord, opens: datetime) -> bool:
        return self.clock() >= opens or self.windows.opened_early(old)
