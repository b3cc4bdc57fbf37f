"""PKCSReq, RenewalReq and CertPoll: requests for certificates, and what became of them."""

from dataclasses import dataclass
from functools import partial

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.errors import (
    MalformedRequest,
    NotAuthenticated,
    NotFound,
    PikaserverError,
    RequestRejected,
    StorageUnavailable,
    Unavailable,
)
from pikaserver.api.issuance import (
    CertificationRequest,
    EnrollmentRequest,
    Issued,
    Pending,
    Requester,
    RequestState,
)
from pikaserver.api.registrars import may_ask_for_others
from pikaserver.api.server import Server
from pikaserver.asn1.enveloped_data import open_
from pikaserver.asn1.weak_signatures import weak_hash
from pikaserver_scep.asking import DOOR, Asked
from pikaserver_scep.challenges.method import Accepted, ChallengeQuestion, Challenges, Postponed
from pikaserver_scep.messages import MessageType
from pikaserver_scep.possession import read_request
from pikaserver_scep.storage import Served
from pikaserver_scep.transactions import (
    Transaction,
    Transactions,
    requester_hash,
)
from pikaserver_scep.weak_algorithms import log_weak


@dataclass(frozen=True, slots=True)
class Done:
    """The certificate is there; with the password its envelope is sealed where it has to be."""

    certificate: bytes
    password: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Ask again later."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """A request with who asks; ``served`` is its message when it waited already."""

    asked: Asked
    csr: CertificationRequest
    transaction: Transaction
    name: str
    served: Served | None = None

    @property
    def question(self) -> ChallengeQuestion:
        return ChallengeQuestion(
            self.asked.template,
            self.csr,
            self.asked.message.header.transaction,
            self.asked.address,
        )


class Enrolling:
    """Enrols, renews, and tells how far a request is."""

    def __init__(self, server: Server, challenges: Challenges, transactions: Transactions) -> None:
        self._server = server
        self._challenges = challenges
        self._transactions = transactions

    def enrol(self, asked: Asked) -> Done | Waiting:
        """Answer PKCSReq and RenewalReq (sections 3.3.1 and 2.3).

        Raises:
            MalformedRequest: it cannot be decrypted, read, or proves no possession.
            NotAuthenticated: the challenge password or the certificate does not count.
            RequestRejected: a rule refused it.
        """
        weak = asked.template.scep.compatibility
        read = partial(read_request, weak=weak)
        csr = open_(asked.envelope, asked.registrar.keys, self._server.entropy, read)
        broken = weak_hash(csr.signature_algorithm)
        log_weak("request", {broken} if broken is not None else (), asked.template)
        asked.recipient(csr.challenge_password)  # whoever cannot be answered gets nothing
        transaction = self._transactions.of(asked.template.name, asked.message, csr)
        served = self._transactions.find(transaction)
        wish = _Wish(asked, csr, transaction, transaction.name, served)
        if served is None:
            return self._decide(wish)
        if served.certificate_id is not None:
            return self._again(wish, served, served.certificate_id)
        return self._waited(wish, served)

    def poll(self, asked: Asked) -> Done | Waiting:
        """Answer CertPoll (section 3.3.3).

        Whoever signs with the same key in the same transaction is told; what is in the
        envelope, issuer and subject, tells nothing more and is not opened.

        Raises:
            NotFound: this key has no such transaction.
            RequestRejected: it was declined, or a rule refuses it now.
        """
        own = requester_hash(asked.template.name, asked.message)
        served = self._transactions.newest(own)
        if served is None:
            raise NotFound("there is no such transaction of this key")
        csr = self._transactions.request(served)
        password = csr.challenge_password if csr else None
        if served.certificate_id is not None:
            record = self._server.certificates.get(served.certificate_id)
            return self._done(asked, served, record, password)
        if csr is None:
            raise NotFound("there is no such transaction of this key")
        transaction = Transaction(served.message_hash, own, served.request_hash)
        return self._waited(_Wish(asked, csr, transaction, transaction.name, served), served)

    def _again(self, wish: _Wish, served: Served, certificate_id: int) -> Done | Waiting:
        """Answer a message whose request was served: the same certificate, while it is valid."""
        record = self._server.certificates.get(certificate_id)
        if record.status is CertificateStatus.VALID:
            self._transactions.repeat(wish.transaction, served)
            return Done(_certificate(record), wish.csr.challenge_password)
        if served.message_hash == wish.transaction.message_hash:
            raise RequestRejected(f"the certificate of this transaction is {record.status}")
        # A device that was reset asks with the same key and the same words: as if for the first
        # time, but for the name of the deed.
        further = wish.transaction.further_name
        return self._decide(_Wish(wish.asked, wish.csr, wish.transaction, further))

    def _waited(self, wish: _Wish, served: Served) -> Done | Waiting:
        """Go on with what waits: for a person, or for something that was away."""
        if served.request_id is None:
            return self._decide(wish)
        stored = self._server.requests.get(served.request_id)
        if stored.state is RequestState.DECLINED:
            raise RequestRejected(f"it was declined: {stored.comment or 'no reason was given'}")
        if stored.state is RequestState.PENDING:
            return Waiting()
        if stored.certificate_id is not None:
            record = self._server.certificates.get(stored.certificate_id)
            if record.certificate is not None:
                return self._done(wish.asked, served, record, wish.csr.challenge_password)
        shown = self._record(served.renews_id)
        return self._enrol(wish, Requester(served.requester, served.method, certificate=shown))

    def _done(
        self, asked: Asked, served: Served, record: CertificateRecord, password: str | None
    ) -> Done:
        if record.status is not CertificateStatus.VALID:
            raise RequestRejected(f"the certificate of this transaction is {record.status}")
        if served.certificate_id is None:
            self._transactions.found(served, record.id)
        if asked.needs_no_password:
            self._transactions.unseal(served)
        return Done(_certificate(record), password)

    def _decide(self, wish: _Wish) -> Done | Waiting:
        """Find out who asks, and go down the road."""
        shown = self._shown(wish.asked)
        if shown is not None and self._by_certificate(wish):
            return self._enrol(wish, _holder(shown, wish.asked.address))
        if wish.asked.message.kind is MessageType.RENEWAL_REQ:
            raise NotAuthenticated("a RenewalReq is signed with a certificate of this authority")
        if wish.asked.message.public_key != wish.csr.public_key and not _vouches(shown, wish):
            raise MalformedRequest("the message is not signed with the key that is to be certified")
        verdict = self._challenges.check(wish.question)
        if isinstance(verdict, Postponed):
            return self._postponed(wish, None)
        return self._enrol(wish, verdict.requester, verdict)

    def _by_certificate(self, wish: _Wish) -> bool:
        """Tell whether the certificate is the proof: clients from before RenewalReq renew so."""
        renewal = wish.asked.message.kind is MessageType.RENEWAL_REQ
        return renewal or wish.csr.challenge_password is None

    def _enrol(
        self, wish: _Wish, requester: Requester, verdict: Accepted | None = None
    ) -> Done | Waiting:
        renewal = wish.asked.message.kind is MessageType.RENEWAL_REQ
        request = EnrollmentRequest(
            csr=wish.csr,
            requester=requester,
            template=wish.asked.template.name,
            door=DOOR,
            renews=requester.certificate if renewal else None,
            transaction=wish.name,
            model=wish.asked.client,
            approval=verdict.approval if verdict else False,
        )
        try:
            outcome = self._outcome(request)
        except PikaserverError as error:
            if verdict is not None:
                self._challenges.settled(wish.question, error)
            if isinstance(error, Unavailable) and not isinstance(error, StorageUnavailable):
                return self._postponed(wish, requester)
            raise
        if verdict is not None:
            self._challenges.settled(wish.question, outcome)
        return self._kept(wish, requester, outcome)

    def _outcome(self, request: EnrollmentRequest) -> Issued | Pending:
        try:
            return self._server.enroll(request)
        except NotAuthenticated:
            # The same message may have come twice at the same moment: then the first one has
            # used up the password, and its outcome is found by the transaction.
            return self._server.enroll(request)

    def _postponed(self, wish: _Wish, requester: Requester | None) -> Waiting:
        if wish.served is None:
            self._transactions.postpone(wish.transaction, wish.csr, requester)
        return Waiting()

    def _kept(self, wish: _Wish, requester: Requester, outcome: Issued | Pending) -> Done | Waiting:
        if wish.served is not None:
            self._transactions.go_on(wish.served, requester, outcome)
        elif isinstance(outcome, Pending):
            self._transactions.wait(wish.transaction, wish.csr, requester, outcome)
        else:
            self._transactions.issue(wish.transaction, requester, outcome)
        if isinstance(outcome, Pending):
            return Waiting()
        if outcome.record.status is not CertificateStatus.VALID:
            raise RequestRejected(f"the certificate of this transaction is {outcome.record.status}")
        return Done(outcome.certificate, wish.csr.challenge_password)

    def _shown(self, asked: Asked) -> CertificateRecord | None:
        """Return the signer's certificate if it is one of ours."""
        try:
            return self._server.certificates.by_certificate(asked.message.certificate)
        except NotFound:
            return None

    def _record(self, certificate_id: int | None) -> CertificateRecord | None:
        return self._server.certificates.get(certificate_id) if certificate_id else None


def _vouches(shown: CertificateRecord | None, wish: _Wish) -> bool:
    """Tell whether the signer may send in a request that another key signed.

    Else whoever has some certificate of ours could take a request off the line, spend the
    password in it, which he cannot read, and have the answer.
    """
    if shown is None or shown.status is not CertificateStatus.VALID:
        return False
    same = shown.subject == wish.csr.subject.rfc4514_string()
    return same or may_ask_for_others(shown, wish.asked.template)


def _holder(record: CertificateRecord, address: str | None) -> Requester:
    return Requester(
        f"certificate:{record.subject}"[:300], "certificate", address, certificate=record
    )


def _certificate(record: CertificateRecord) -> bytes:
    if record.certificate is None:
        raise NotFound("the certificate was not finished")
    return record.certificate
