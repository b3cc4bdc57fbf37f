"""What an order asks of the host: whether it still may, and the request that it becomes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from pikaserver.api.errors import MalformedRequest, NotFound, RequestRejected
from pikaserver.api.issuance import (
    CertificationRequest,
    EnrollmentRequest,
    Issued,
    OneTimeProof,
    Pending,
    Requester,
)
from pikaserver.api.pairs import IssuedPair
from pikaserver.api.server import Server
from pikaserver_acme.csr_check import bad_csr, read_wished
from pikaserver_acme.jose.keys import stored_key
from pikaserver_acme.moments import moment, stored
from pikaserver_acme.problems import AcmeError
from pikaserver_acme.records import Account, Authorization, Order, Policy, Renewal
from pikaserver_acme.reusing import counts
from pikaserver_acme.storage import authorizations, auto_renewals
from pikaserver_acme.validation.question import CaaQuestion, Validators

DOOR = "acme"
"""What templates call this door."""

CAA_COUNTS = timedelta(hours=8)
"""For how long CAA need not be looked up again (CA/Browser Forum BR 4.2.2.1)."""


@dataclass(frozen=True, slots=True)
class Case:
    """An order with all that belongs to it."""

    policy: Policy
    account: Account
    order: Order
    renewal: Renewal | None


@dataclass(frozen=True, slots=True)
class Csrs:
    """The CSR of an order, and that of the second certificate where a pair is asked for."""

    first: CertificationRequest
    second: CertificationRequest | None = None

    @property
    def octets(self) -> tuple[bytes, bytes | None]:
        """Both in DER, as an order keeps them."""
        return self.first.der, None if self.second is None else self.second.der


class Asking:
    """Turns orders into requests to the host."""

    def __init__(self, server: Server, validators: Validators) -> None:
        self._server = server
        self._validators = validators

    def case(self, policy: Policy, account: Account, order: Order) -> Case:
        """Return an order with all that belongs to it."""
        if not policy.rules.auto_renewal.allowed:
            return Case(policy, account, order, None)
        with self._server.database.reading() as connection:
            return Case(policy, account, order, auto_renewals.get(connection, order.id))

    def proofs(self, case: Case) -> list[Authorization]:
        """Return the proofs that an order stands on, which must count now, too.

        Raises:
            AcmeError: one was given up, is expired, or the policy does not take it any more.
        """
        rules, order = case.policy.rules, case.order
        with self._server.database.reading() as connection:
            needed = authorizations.of_order(connection, order.id)
        now = self._server.clock()
        for one in order.identifiers:
            if not rules.allows(one):
                raise AcmeError("rejectedIdentifier", f"{one.value} is not allowed any more")
        for proof in needed:
            if not counts(case.policy, proof, now):
                raise AcmeError(
                    "unauthorized", f"the proof of {proof.proves.value} counts no more; order anew"
                )
        return needed

    def check_caa(self, case: Case, proofs: Sequence[Authorization], account_url: str) -> None:
        """Look up CAA for the names whose proof did not, or did so long ago.

        Raises:
            AcmeError: caa: somebody else is to issue for one of them.
        """
        limits = case.policy.rules.validation()
        if not limits.caa_identities:
            return
        fresh = stored(self._server.clock() - CAA_COUNTS)
        questions = []
        for asked in case.order.identifiers:
            proof = authorizations.covering(proofs, asked)
            if asked.type == "dns" and (proof is None or _stale(proof, fresh)):
                by = None if proof is None else proof.validated_by
                one = CaaQuestion(asked.base, asked.wildcard, by, account_url, limits)
                questions.append(one)
        if not questions:
            return
        verdict = self._validators.look_at_caa(questions)
        if not verdict.valid:
            raise AcmeError(verdict.error or "caa", verdict.detail)

    def offers_pair(self, policy: Policy, profile: str | None) -> bool:
        """Tell whether an order of this profile may become a pair of certificates (RFC 9763)."""
        if profile is not None and profile not in policy.rules.profiles:
            return False
        try:
            template = self._server.templates.get(policy.rules.template_of(profile))
        except NotFound:
            return False
        return template.related.pair is not None

    def csrs(
        self,
        case: Case,
        octets: bytes,
        second: bytes | None,
        facts: Sequence[Mapping[str, str]] = (),
    ) -> Csrs:
        """Return the CSR of an order, or both of a pair: each names what was ordered.

        Raises:
            AcmeError: badCSR.
        """
        first = self.csr(case, octets, facts)
        if second is None:
            return Csrs(first)
        if case.renewal is not None:
            raise bad_csr("an order with auto-renewal has one certificate at a time: no relatedCsr")
        try:
            return Csrs(first, self.csr(case, second, facts))
        except AcmeError as error:
            raise bad_csr(f"relatedCsr: {error}") from None

    def csr(
        self, case: Case, octets: bytes, facts: Sequence[Mapping[str, str]] = ()
    ) -> CertificationRequest:
        """Return one CSR of an order.

        Raises:
            AcmeError: badCSR.
        """
        key = stored_key(case.account.key)
        return read_wished(octets, case.order.identifiers, facts, case.policy.rules, key)

    def enroll(
        self, case: Case, csr: CertificationRequest, transaction: str, proof: OneTimeProof | None
    ) -> Issued | Pending:
        """Ask the host for the certificate.

        Raises:
            AcmeError: a rule of the template refused it.
            Unavailable: it cannot be done now.
        """
        request = self._request(case, csr, transaction, proof)
        with _in_words_of_acme():
            return self._server.enroll(request)

    def enroll_both(
        self, case: Case, csrs: Csrs, transaction: str, proof: OneTimeProof | None
    ) -> Issued | IssuedPair | Pending:
        """Ask the host for the certificate, or for both of a pair.

        Raises:
            AcmeError: a rule of a template refused it.
            Unavailable: it cannot be done now.
        """
        if csrs.second is None:
            return self.enroll(case, csrs.first, transaction, proof)
        request = self._request(case, csrs.first, transaction, proof)
        with _in_words_of_acme():
            return self._server.pairs.enroll(request, csrs.second)

    def _request(
        self, case: Case, csr: CertificationRequest, transaction: str, proof: OneTimeProof | None
    ) -> EnrollmentRequest:
        template = case.policy.rules.template_of(case.order.profile)
        account = case.account
        requester = Requester(
            f"acme:{case.policy.name}/{account.id}",
            _method(account, self._server.templates.get(template).proofs),
            account.address,
            proof=proof,
        )
        return EnrollmentRequest(
            csr=csr,
            requester=requester,
            template=template,
            door=DOOR,
            validity=self._validity(case),
            transaction=transaction,
        )

    def _validity(self, case: Case) -> timedelta | None:
        now, renewal = self._server.clock(), case.renewal
        if renewal is not None:
            wanted = timedelta(seconds=renewal.lifetime_seconds + renewal.adjust_seconds)
            return min(wanted, moment(renewal.end_at) - now)
        if case.order.not_after is None:
            return None
        return moment(case.order.not_after) - now


@contextmanager
def _in_words_of_acme() -> Iterator[None]:
    try:
        yield
    except AcmeError:
        raise
    except MalformedRequest as error:
        raise bad_csr(str(error)) from None
    except RequestRejected as refusal:
        raise _refused(refusal) from None


def _stale(proof: Authorization, fresh: int) -> bool:
    """CAA was looked up with the proof of this very name, unless none was asked."""
    return proof.pre_approved or proof.subdomains or (proof.validated_at or 0) < fresh


def _method(account: Account, proofs: frozenset[str]) -> str:
    """Return what templates call the proof: an account that is bound counts as either."""
    return "eab" if account.external_account_id is not None and "eab" in proofs else "acme"


def _refused(refusal: RequestRejected) -> AcmeError:
    """Say what a rule of the template refused, in ACME's words."""
    refusing = [one for one in refusal.trace if not one.allowed]
    rule = refusing[-1].rule if refusing else ""
    kind = "badCSR"
    if rule.startswith("key"):
        kind = "badPublicKey"
    elif rule.startswith("name"):
        kind = "rejectedIdentifier"
    error = AcmeError(kind, str(refusal))
    error.trace = refusal.trace
    return error
