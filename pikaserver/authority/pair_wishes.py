"""What a request for a pair asks: both halves, judged and drafted, and what they are called."""

import hashlib
import json
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.errors import Conflict
from pikaserver.api.issuance import CertificationRequest, EnrollmentRequest, RequestRecord
from pikaserver.asn1.certificate import with_dummy_signature
from pikaserver.asn1.crmf import read_any_request
from pikaserver.asn1.csr_redaction import without_password
from pikaserver.authority.admission import check_template, check_transaction
from pikaserver.authority.authorities import IssuingKey
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.holder_certificates import same_names
from pikaserver.authority.issuance import Draft
from pikaserver.authority.judging import Facts, Judging
from pikaserver.authority.preparation import Preparation, TemplateVersion
from pikaserver.authority.requests import wish_hash
from pikaserver.storage import certificates as certificates_storage
from pikaserver.storage import pairs as storage
from pikaserver.storage.pairs import SecondWish

_GOING_ON = (CertificateStatus.VALID, CertificateStatus.PENDING)


@dataclass(frozen=True, slots=True)
class Half:
    """One of both certificates, judged: who asks for what, by which rules, and who signs."""

    request: EnrollmentRequest
    version: TemplateVersion
    issuer: IssuingKey


@dataclass(frozen=True, slots=True)
class PairWish:
    """Both halves, and what they are called together."""

    first: Half
    second: Half
    hash: str

    @property
    def needs_approval(self) -> bool:
        """Whether a person has to say yes."""
        wanted = (half.version.template.approval for half in (self.first, self.second))
        return self.first.request.approval or any(wanted)

    @property
    def stored(self) -> SecondWish:
        """What is kept of the second half."""
        second = self.second
        csr, version = without_password(second.request.csr), second.version
        return SecondWish(self.hash, csr, version.id, version.template.version)


@dataclass(frozen=True, slots=True)
class PairWishes:
    """Decides on both halves of a request before anything is signed."""

    judging: Judging
    preparation: Preparation

    def judged(
        self, facts: Facts, second: CertificationRequest, trace: DecisionTrace, *, proved: bool
    ) -> PairWish:
        """Return the wish as both templates allow it now.

        ``proved`` says that the very same requests came before.

        Raises:
            RequestRejected: a rule refused one half; the trace tells which.
            NotAuthenticated: what the requester shows does not count any more.
        """
        version, paired, said = facts.version, facts.second, facts.request.csr
        if paired is None:
            why = f"template {version.template.name!r} has no template for a second certificate"
            trace.refuse("related", "a pair of certificates", f"{why}: related.pair")
        raw = replace(facts.request, csr=second)
        self.judging.related.check_pair(facts.request, raw, paired.template, trace)
        first = self.judging.judge(facts.request, version, trace, proved=proved)
        if not any(_is_same_holder(second, one) for one in (said, first.csr)):
            why = "both requests of a pair have the same subject and the same names"
            trace.refuse("related", second.subject.rfc4514_string(), why)
        other = _second_request(first, second, paired)
        self.judging.judge_second(other, paired, trace)
        signing = facts.authorities.issuing_key(paired.template.authority)
        return PairWish(
            Half(first, version, facts.issuer),
            Half(other, paired, signing),
            wish_hash(said, second),
        )

    def approved(
        self, stored: RequestRecord, request: EnrollmentRequest, trace: DecisionTrace
    ) -> PairWish:
        """Return the wish as it was approved, by the versions of the templates of that time.

        Raises:
            Conflict: the request asks for one certificate.
            RequestRejected: a template is closed by now.
        """
        with self.judging.database.reading() as connection:
            kept = storage.of_request(connection, stored.id)
            if kept is None:
                raise Conflict(f"request {stored.id} asks for one certificate")
            view = self.judging.authorities.view(connection)
            version = self.judging.templates.version_in(
                connection, stored.template, stored.template_version
            )
            paired = self.judging.templates.version_in(
                connection, kept.template, kept.template_version
            )
        first = self.judging.judge_approved(request, version, trace)
        second = _second_request(first, read_any_request(kept.csr), paired)
        check_template(second, paired.template, trace)
        return PairWish(
            Half(first, version, view.issuing_key(version.template.authority)),
            Half(second, paired, view.issuing_key(paired.template.authority)),
            kept.wish_hash,
        )

    def drafted(self, wish: PairWish, trace: DecisionTrace) -> tuple[Draft, Draft]:
        """Return what would be signed; the second one is bound to what the first may become."""
        half = wish.first
        first = self.preparation.prepare(half.request, half.version, half.issuer, trace)
        likely = with_dummy_signature(first.new.tbs, first.algorithm).public_bytes(Encoding.DER)
        return first, self.second_draft(wish, wish.second.request, likely, trace)

    def second_draft(
        self, wish: PairWish, request: EnrollmentRequest, first: bytes, trace: DecisionTrace
    ) -> Draft:
        """Return what is signed when the first certificate (DER) is there."""
        half = wish.second
        return self.preparation.prepare(request, half.version, half.issuer, trace, first)

    def named(self, request: EnrollmentRequest, second: CertificationRequest) -> EnrollmentRequest:
        """Return the request with a transaction: what is asked for again is found by it.

        Where the requester named none, who asks for what is the name.  Once its certificate
        has ended, the same wish is a new one.
        """
        if request.transaction is not None:
            check_transaction(request.transaction)
            return request
        name = _name(request, second)
        with self.judging.database.reading() as connection:
            while True:
                record = certificates_storage.by_transaction(
                    connection, request.door, name, self.judging.clock()
                )
                if record is None or record.status in _GOING_ON:
                    return replace(request, transaction=name)
                name = _digest(name, str(record.id))


def _second_request(
    first: EnrollmentRequest, second: CertificationRequest, version: TemplateVersion
) -> EnrollmentRequest:
    """Return the request for the second certificate: the same requester, holder and wishes.

    A credential for the first certificate's template counts for the one that this names.
    """
    requester = first.requester
    if requester.templates is not None:
        requester = replace(requester, templates=requester.templates | {version.template.name})
    csr = replace(second, subject=first.csr.subject, names=first.csr.names)
    return replace(
        first,
        csr=csr,
        requester=requester,
        template=version.template.name,
        renews=None,
        transaction=None,
        answer=None,
    )


def _is_same_holder(one: CertificationRequest, other: CertificationRequest) -> bool:
    return one.subject == other.subject and same_names(one.names, other.names)


def _name(request: EnrollmentRequest, second: CertificationRequest) -> str:
    shown = (request.renews, request.requester.certificate)
    return _digest(
        request.requester.name,
        request.template,
        str(request.validity),
        *(str(one.id if one else None) for one in shown),
        wish_hash(request.csr, second),
    )


def name_of_second(first: CertificateRecord) -> str:
    """Return the transaction of the second certificate: there is one for each first."""
    return f"pair\tsecond of {first.id}"


def _digest(*parts: str) -> str:
    """Return a name that no requester can choose: a tab is none of the characters they have."""
    digest = hashlib.sha256(json.dumps(parts).encode())
    return f"pair\t{digest.hexdigest()}"
