"""Orders over HTTP (RFC 8555 section 7.4)."""

from collections.abc import Sequence

import falcon

from pikaserver.api.errors import NotFound
from pikaserver_acme import messages
from pikaserver_acme.chains import Chain, write_pem
from pikaserver_acme.jose import base64url
from pikaserver_acme.jose.json_text import malformed, text_of
from pikaserver_acme.moments import stored
from pikaserver_acme.office import Office
from pikaserver_acme.problems import AcmeError
from pikaserver_acme.records import Order, Status
from pikaserver_acme.resources.door import Call
from pikaserver_acme.resources.signed import SignedOnly

RETRY_AFTER = "5"
"""Seconds after which a client asks again how far its order is."""
RETRY_AFTER_PERSON = "60"
RELATED_CSR = "relatedCsr"
"""The member of finalize with the CSR of a second certificate, bound to the first (RFC 9763)."""
_OPEN = (Status.PENDING.value, Status.READY.value)


class _OrderAnswers:
    """Finds orders for those that they belong to, and writes them."""

    def __init__(self, office: Office) -> None:
        self.door = office.door
        self._office = office

    def find(self, call: Call, number: int) -> Order:
        """Return an order of the caller.

        Raises:
            NotFound: there is none.
            AcmeError: unauthorized: it is another account's.
        """
        found = self._office.ordering.get(number)
        if found.account_id != call.holder.id:
            raise AcmeError("unauthorized", "this order is another account's")
        return found

    def write(
        self,
        response: falcon.Response,
        call: Call,
        found: Order,
        made_with: Sequence[int] | None = None,
    ) -> None:
        """Answer with an order; one that was made just now brings what it was made with."""
        office, created = self._office, made_with is not None
        needed = office.ordering.authorizations(found) if made_with is None else made_with
        renewal = None
        if call.policy.rules.auto_renewal.allowed:
            renewal = office.successors.of_order(found.id)
        document = messages.order(
            found, call.places, needed, renewal, stored(office.server.clock())
        )
        if renewal is None and document["status"] in _OPEN:
            offered = office.asking.offers_pair(call.policy, found.profile)
            document |= messages.pairs(offered=offered)
        url = call.places.order(found.id)
        self.door.answer(response, document, created=url if created else None)
        response.set_header("Location", url)
        if found.status is Status.PROCESSING:
            waits = RETRY_AFTER if found.request_id is None else RETRY_AFTER_PERSON
            response.set_header("Retry-After", waits)


class NewOrder(SignedOnly):
    """``POST new-order``."""

    def __init__(self, office: Office) -> None:
        self._answers = _OrderAnswers(office)
        self._ordering = office.ordering

    def on_post(self, request: falcon.Request, response: falcon.Response, policy: str) -> None:
        """Take an order."""
        call = self._answers.door.by_account(request, response, policy)
        found, needed = self._ordering.place(call.policy, call.holder, call.document)
        self._answers.write(response, call, found, needed)


class OneOrder(SignedOnly):
    """``POST order/<number>``."""

    def __init__(self, office: Office) -> None:
        self._answers = _OrderAnswers(office)
        self._successors = office.successors

    def on_post(
        self, request: falcon.Request, response: falcon.Response, policy: str, number: int
    ) -> None:
        """Answer how far an order is, or cancel one whose certificates follow (RFC 8739)."""
        call = self._answers.door.by_account(request, response, policy)
        found = self._answers.find(call, number)
        if call.payload:
            if text_of(call.document, "status") != Status.CANCELED:
                raise malformed("an order's status can be changed to canceled only")
            self._successors.cancel(found)
            found = self._answers.find(call, number)
        self._answers.write(response, call, found)


class Finalize(SignedOnly):
    """``POST order/<number>/finalize``."""

    def __init__(self, office: Office) -> None:
        self._answers = _OrderAnswers(office)
        self._asking = office.asking
        self._finalizing = office.finalizing

    def on_post(
        self, request: falcon.Request, response: falcon.Response, policy: str, number: int
    ) -> None:
        """Issue what was ordered."""
        call = self._answers.door.by_account(request, response, policy)
        found = self._answers.find(call, number)
        text = text_of(call.document, "csr")
        if text is None:
            raise malformed("'csr' is to be the CSR, DER in base64url")
        octets = base64url.decode(text, "csr")
        other = text_of(call.document, RELATED_CSR)
        second = None if other is None else base64url.decode(other, RELATED_CSR)
        case = self._asking.case(call.policy, call.holder, found)
        url = call.places.account(call.holder.id)
        done = self._finalizing.finalize(case, octets, second, url)
        self._answers.write(response, call, done)


class Certificate(SignedOnly):
    """``POST certificate/<order>`` and ``certificate/<order>/<chain>`` (section 7.4.2)."""

    def __init__(self, office: Office) -> None:
        self._answers = _OrderAnswers(office)
        self._certificates = office.server.certificates
        self._chains = office.chains

    def on_post(
        self,
        request: falcon.Request,
        response: falcon.Response,
        policy: str,
        number: int,
        chain: int = 0,
    ) -> None:
        """Answer the certificate with one of its chains."""
        call = self._answers.door.by_account(request, response, policy)
        found = self._answers.find(call, number)
        call.check_empty()
        if found.status is not Status.VALID or found.certificate_id is None:
            raise NotFound("the order has no certificate yet")
        record = self._certificates.get(found.certificate_id)
        second = None if found.second_id is None else self._certificates.get(found.second_id)
        offered = self._chains.offered(record, second)
        if not 0 <= chain < len(offered):
            raise NotFound("the certificate has no such chain")
        write_chain(response, offered[chain])
        for other in range(len(offered)):
            if other != chain:
                url = call.places.certificate(number, other)
                response.append_header("Link", f'<{url}>;rel="alternate"')


def write_chain(response: falcon.Response, chain: Chain) -> None:
    """Answer with certificates (RFC 8555 section 9.1)."""
    response.content_type = "application/pem-certificate-chain"
    response.data = write_pem(chain)
