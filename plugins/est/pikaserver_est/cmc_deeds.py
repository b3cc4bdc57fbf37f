"""What full requests ask for: certificates new and old, CRLs, revocations, and how it stands."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import falcon

from pikaserver.api.certificates import CertificateQuery, CertificateRecord, Revocation
from pikaserver.api.errors import Conflict, NotAllowed, NotFound, RequestRejected
from pikaserver.api.issuance import (
    CertificationRequest,
    EnrollmentRequest,
    Issued,
    Pending,
    Requester,
    RequestRecord,
    RequestState,
)
from pikaserver.api.key_challenges import ChallengeAnswer
from pikaserver.api.pairs import IssuedPair
from pikaserver.api.self_revocation import check_may_revoke
from pikaserver.api.server import Server
from pikaserver.api.templates import Template
from pikaserver.asn1 import der
from pikaserver.asn1.certificate import issuer_and_serial, public_key_of, read_certificate
from pikaserver.asn1.cmc import Outcome, Status, read_octets
from pikaserver.asn1.cmc_questions import (
    NamedCertificate,
    read_get_cert,
    read_get_crl,
    read_revoke_request,
)
from pikaserver.asn1.crmf import read_any_request
from pikaserver_est.asking import DOOR, wish
from pikaserver_est.linking import check_linking

CRL_LIMIT_OCTETS = 1 << 20
"""A larger CRL is fetched where certificates point to, and not sent in a message."""

RETRY_AFTER = 60
"""Seconds after which a client asks again for what waits."""

_LONGEST_TOKEN = 20


@dataclass(frozen=True, slots=True)
class Done:
    """What came of one body part, with what goes along in the answer."""

    outcome: Outcome
    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Deeds:
    """The deeds of one message; every one of them raises what the core raises."""

    server: Server
    request: falcon.Request
    template: Template
    requester: Requester
    transaction: bytes
    """What the client calls its transaction, or else the whole message."""

    def enroll(
        self, body_part: int, csr: CertificationRequest, answer: ChallengeAnswer | None = None
    ) -> Done:
        """Ask for a certificate."""
        check_linking(self.request, csr, self.requester, self.template)
        asked = wish(self.request, csr, self.requester, self.template.name)
        named = replace(asked, transaction=self._name(body_part), answer=answer)
        return self._done((body_part,), self.server.enroll(named))

    def enroll_pair(self, body_parts: Sequence[int], csrs: Sequence[CertificationRequest]) -> Done:
        """Ask for a pair: the first certificate, and one that is bound to it.

        The requests themselves are the name of the transaction: in another message, too, they
        get the same pair.
        """
        for csr in csrs:
            check_linking(self.request, csr, self.requester, self.template)
        first, second = csrs
        self._check_second(second)
        asked = wish(self.request, first, self.requester, self.template.name)
        return self._done(body_parts, self.server.pairs.enroll(asked, second))

    def _check_second(self, csr: CertificationRequest) -> None:
        """Hold the second request against what its own template says of this door, too."""
        name = self.template.related.pair
        if name is None:
            return  # the core says that there are no pairs
        template = self.server.templates.get(name)
        if not template.est.full_cmc:
            raise NotAllowed(f"template {template.name!r} takes no requests in CMC")
        check_linking(self.request, csr, self.requester, template)

    def query_pending(self, body_part: int, value: bytes) -> Done:
        """Ask again for what waited."""
        token = read_octets(value, "a pending token")
        if len(token) > _LONGEST_TOKEN or not token.isdigit():
            raise NotFound("that token was not given here")
        stored = self.server.requests.get(int(token))
        if stored.requester != self.requester.name or stored.door != DOOR:
            raise NotAllowed("that token was given to somebody else")
        if stored.state is RequestState.DECLINED:
            raise RequestRejected(f"it was declined: {stored.comment or 'no reason was given'}")
        if stored.state is RequestState.PENDING:
            return self._done((body_part,), Pending(stored.id, RETRY_AFTER, ()))
        return self._there(body_part, stored) or self._again(body_part, stored)

    def _again(self, body_part: int, stored: RequestRecord) -> Done:
        """Ask for what was approved while its key was away: it is issued now."""
        csr = read_any_request(stored.csr)
        if csr.challenge_password is not None:
            raise Conflict("what was tied to a TLS session is kept without that: send it again")
        asked = EnrollmentRequest(csr, self.requester, stored.template, DOOR)
        if stored.second_csr is None:
            return self._done((body_part,), self.server.enroll(asked))
        second = read_any_request(stored.second_csr)
        return self._done((body_part,), self.server.pairs.enroll(asked, second))

    def _there(self, body_part: int, stored: RequestRecord) -> Done | None:
        """Hand out what came of a request, with those above it, if all of it is there."""
        if stored.certificate_id is None:
            return None
        records = [self.server.certificates.get(stored.certificate_id)]
        if stored.second_csr is not None:
            key = read_any_request(stored.second_csr).public_key
            bound = [one for one in self.server.pairs.of(records[0]) if _key(one) == key]
            if not bound:
                return None
            records.append(bound[0])
        found: list[bytes] = []
        for record in records:
            found.append(record.certificate or b"")
            for one in self.server.authorities.get(record.authority).generations:
                if one.number == record.generation:
                    found += (one.certificate, *one.chain)
        return Done(Outcome(Status.SUCCESS, (body_part,)), tuple(dict.fromkeys(found)))

    def get_cert(self, body_part: int, value: bytes) -> Done:
        """Fetch a certificate by issuer and serial number."""
        record = self._find(read_get_cert(value))
        return Done(Outcome(Status.SUCCESS, (body_part,)), (record.certificate or b"",))

    def get_crl(self, body_part: int, value: bytes) -> Done:
        """Fetch the newest CRL of an authority."""
        issuer = read_get_crl(value)
        for name in self.server.authorities.names():
            for generation in self.server.authorities.get(name).generations:
                subject = read_certificate(generation.certificate).subject.public_bytes()
                if subject == issuer:
                    content = self.server.crls.latest(name, generation.number).content
                    if content.size > CRL_LIMIT_OCTETS:
                        raise RequestRejected("this CRL is too large for a message; fetch its URL")
                    octets = b"".join(content.pieces())
                    return Done(Outcome(Status.SUCCESS, (body_part,)), crls=(octets,))
        raise NotFound("no authority of that name is here")

    def revoke(self, body_part: int, value: bytes) -> Done:
        """Revoke a certificate that the requester holds, or may revoke for others."""
        asked = read_revoke_request(value)
        if self.requester.certificate is None:
            raise NotAllowed("who wants to revoke has to sign with a certificate")
        target = self._find(asked.certificate)
        check_may_revoke(self.server, DOOR, self.requester.certificate, target)
        revocation = Revocation(self.server.clock(), asked.reason, asked.invalidity_at)
        self.server.revoke(target, revocation, self.requester.name)
        return Done(Outcome(Status.SUCCESS, (body_part,)))

    def _find(self, named: NamedCertificate) -> CertificateRecord:
        wanted = der.sequence(named.issuer, der.integer(named.serial))
        if named.serial > 0:
            for record in self.server.certificates.find(CertificateQuery(serial=named.serial)):
                if record.certificate and issuer_and_serial(record.certificate) == wanted:
                    return record
        raise NotFound("that certificate was not issued here")

    def _name(self, body_part: int) -> str:
        parts = (self.requester.name.encode(), self.transaction, str(body_part).encode())
        return f"cmc:{_digest(parts)}"

    def _done(self, body_parts: Sequence[int], outcome: Issued | IssuedPair | Pending) -> Done:
        parts = tuple(body_parts)
        if isinstance(outcome, Issued):
            certificates = (outcome.certificate, *outcome.chain)
            return Done(Outcome(Status.SUCCESS, parts), certificates)
        if isinstance(outcome, IssuedPair):
            both = (outcome.first, outcome.second)
            found = [one for issued in both for one in (issued.certificate, *issued.chain)]
            return Done(Outcome(Status.SUCCESS, parts), tuple(dict.fromkeys(found)))
        again = self.server.clock() + timedelta(seconds=outcome.retry_after)
        token = str(outcome.request_id).encode()
        waits = Outcome(Status.PENDING, parts, token=token, again=again)
        return Done(waits, retry_after=outcome.retry_after)


def _key(record: CertificateRecord) -> bytes:
    return public_key_of(read_certificate(record.certificate or b""))


def _digest(parts: Sequence[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.hexdigest()
