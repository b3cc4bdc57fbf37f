"""Pairs of certificates (RFC 9763) as a fake server issues and finds them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from cryptography import x509

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import (
    CertificationRequest,
    EnrollmentRequest,
    Issued,
    Pending,
)
from pikaserver.api.pairs import IssuedPair
from pikaserver.api.templates import Template
from pikaserver.asn1.csr import verify_possession
from pikaserver.asn1.related_certificates import related_extension
from pikaserver.authority.related import PairDirectory
from pikaserver.testing.fake_parts import FakeRequests, FakeTemplates

Enroll = Callable[[EnrollmentRequest], Issued | Pending]
Issue = Callable[[EnrollmentRequest, Template, Sequence[x509.ExtensionType]], Issued]


class FakePairs:
    """See ``pikaserver.api.pairs.Pairs``: the rules that doors rely on, and no more."""

    def __init__(
        self,
        directory: PairDirectory,
        templates: FakeTemplates,
        requests: FakeRequests,
        enroll: Enroll,
        issue: Issue,
    ) -> None:
        self._directory = directory
        self._templates = templates
        self._requests = requests
        self._enroll = enroll
        self._issue = issue
        self._made: dict[tuple[str, bytes, bytes], IssuedPair] = {}

    def of(self, record: CertificateRecord) -> Sequence[CertificateRecord]:
        """See the protocol."""
        return self._directory.of(record)

    def enroll(
        self, request: EnrollmentRequest, second: CertificationRequest
    ) -> IssuedPair | Pending:
        """See the protocol."""
        name = self._templates.get(request.template).related.pair
        if name is None:
            raise RequestRejected(f"the template {request.template!r} issues no pairs")
        csr = request.csr
        if (second.subject, second.names) != (csr.subject, csr.names):
            raise RequestRejected("both requests of a pair have the same subject and names")
        if second.public_key == csr.public_key:
            raise RequestRejected("both requests of the pair have the same key")
        verify_possession(second)
        known = request.requester.name, csr.der, second.der
        if known in self._made:
            return self._made[known]
        first = self._enroll(request)
        if isinstance(first, Pending):
            waiting = self._requests.records[first.request_id]
            self._requests.records[waiting.id] = replace(waiting, second_csr=second.der)
            return first
        asked = replace(request, csr=second, template=name)
        bound = related_extension(first.certificate)
        pair = IssuedPair(first, self._issue(asked, self._templates.get(name), [bound]))
        self._made[known] = pair
        return pair
