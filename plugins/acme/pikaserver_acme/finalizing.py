"""finalize (RFC 8555 section 7.4): an order becomes one certificate, whatever happens meanwhile.

::

    ready ---- claimed in the transaction of the intent ----> processing ----> valid

A finalization that a crash, an absent key or a person's decision holds up goes on by itself.
The order's number is the transaction of the issuance, so going on finds what was issued.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from pikaserver.api.errors import (
    Conflict,
    Decision,
    NotFound,
    PikaserverError,
    RequestRejected,
    Unavailable,
)
from pikaserver.api.issuance import Issued, OneTimeProof, Pending
from pikaserver.api.pairs import IssuedPair
from pikaserver.api.server import Server
from pikaserver_acme.asking import Asking, Case, Csrs
from pikaserver_acme.moments import stored
from pikaserver_acme.ordering import already_replaced
from pikaserver_acme.problems import AcmeError, problem_of
from pikaserver_acme.records import Order, Status
from pikaserver_acme.storage import accounts, orders, policies
from pikaserver_acme.successors import Successors

RESUME_AFTER = timedelta(seconds=30)
"""A finalization that has not ended by then goes on by itself."""
AT_ONCE = 100
TAKEN = "this order is being finalized, or was; ask for it"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """Takes the order in the transaction of the intent; a `OneTimeProof`.

    It is not given back when the key is away: the order goes on by itself.
    """

    order: Order
    csrs: Csrs
    now: int

    def spend(self, connection: Connection) -> None:
        """See the protocol; exactly one finalization gets here."""
        replaces = self.order.replaces
        if replaces is not None:
            orders.hold_replacing(connection, replaces)
            if orders.is_replaced(connection, replaces, self.order.id):
                raise already_replaced()
        first, second = self.csrs.octets
        if not orders.claim(connection, self.order.id, first, self.now, second):
            raise not_ready(TAKEN)

    def restore(self, connection: Connection) -> None:
        """See the protocol."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """Holds an order that was claimed before; a `OneTimeProof`."""

    order: Order
    now: int

    def spend(self, connection: Connection) -> None:
        """See the protocol."""
        if self.order.expires_at <= self.now:
            raise RequestRejected("the certificate could not be made before the order's end")
        if not orders.is_processing(connection, self.order.id):
            raise Conflict("the order has ended meanwhile")

    def restore(self, connection: Connection) -> None:
        """See the protocol."""


class Finalizing:
    """Turns orders into certificates."""

    def __init__(self, server: Server, asking: Asking, successors: Successors) -> None:
        self._server = server
        self._asking = asking
        self._successors = successors

    def finalize(self, case: Case, octets: bytes, second: bytes | None, account_url: str) -> Order:
        """Return the order with its certificate, or ``processing`` where that takes longer.

        With a ``second`` CSR it becomes a pair of certificates.

        Raises:
            AcmeError: orderNotReady, badCSR, or what forbids it now; the order stays as it was.
        """
        now, order = stored(self._server.clock()), case.order
        if shown(order, now) is not Status.READY:
            raise not_ready(f"the order is {shown(order, now)}, not ready")
        proofs = self._asking.proofs(case)
        csrs = self._asking.csrs(case, octets, second, [one.facts for one in proofs])
        self._asking.check_caa(case, proofs, account_url)
        try:
            self._issue(case, csrs, Claim(order, csrs, now))
        except Unavailable:
            # Where the order was claimed it goes on by itself: nobody has to ask again.
            claimed = self._now(order.id)
            if claimed.status not in {Status.PROCESSING, Status.VALID}:
                raise
            if (claimed.csr, claimed.second_csr) != csrs.octets:
                raise not_ready(TAKEN) from None
        except (AcmeError, Conflict):
            if self._now(order.id).status is Status.READY:
                raise
            raise not_ready(TAKEN) from None
        return self._now(order.id)

    def resume_all(self) -> None:
        """Go on with what is held up."""
        before = stored(self._server.clock() - RESUME_AFTER)
        with self._server.database.reading() as connection:
            found = orders.unfinished(connection, before, AT_ONCE)
        for order in found:
            try:
                self.resume(order)
            except (Unavailable, Conflict) as reason:
                extra = {"event": "acme-waits", "order": order.id, "why": str(reason)}
                logger.info("order waits", extra=extra)
            except PikaserverError as error:
                self._fail(order, error)

    def resume(self, order: Order) -> None:
        """Go on with an order that was claimed.

        Raises:
            PikaserverError: it cannot go on now, or ever.
        """
        with self._server.database.reading() as connection:
            account = accounts.get(connection, order.account_id)
            policy = None if account is None else policies.get(connection, account.policy_id)
        if account is None or policy is None or order.csr is None:
            raise NotFound("the order has lost its account")
        if account.status is not Status.VALID:
            # RFC 8555 section 7.3.6: what was under way is canceled.
            raise AcmeError("unauthorized", f"the account is {account.status}")
        # What it stands on was checked when it was claimed; a certificate may be there already.
        case = self._asking.case(policy, account, order)
        csrs = self._asking.csrs(case, order.csr, order.second_csr)
        self._issue(case, csrs, Continuation(order, stored(self._server.clock())))

    def _issue(self, case: Case, csrs: Csrs, proof: OneTimeProof) -> None:
        order = case.order
        outcome = self._asking.enroll_both(case, csrs, f"order {order.id}", proof)
        with self._server.database.transaction() as connection:
            if isinstance(outcome, Pending):
                orders.await_person(connection, order.id, outcome.request_id)
                return
            first, second = _halves(outcome)
            record, last = first.record, second or first
            ends = stored(max(record.not_after, last.record.not_after))
            other_id = None if second is None else second.record.id
            trace = trace_text(last.trace)
            if orders.finish(connection, order.id, record.id, other_id, trace, ends):
                self._successors.begin(connection, case, record)

    def _fail(self, order: Order, error: PikaserverError) -> None:
        trace = error.trace if isinstance(error, RequestRejected) else ()
        with self._server.database.transaction() as connection:
            if not orders.fail(connection, order.id, problem_of(error).text(), trace_text(trace)):
                return
            actor, why = f"acme:{order.account_id}", str(error)
            self._server.audit.record(
                connection, "acme.order-failed", actor, order=order.id, why=why
            )

    def _now(self, order_id: int) -> Order:
        with self._server.database.reading() as connection:
            found = orders.get(connection, order_id)
        if found is None:
            raise NotFound("there is no such order")
        return found


def _halves(outcome: Issued | IssuedPair) -> tuple[Issued, Issued | None]:
    if isinstance(outcome, IssuedPair):
        return outcome.first, outcome.second
    return outcome, None


def shown(order: Order, now: int) -> Status:
    """Return an order's status at a time: what is open ends by itself."""
    if order.status in {Status.PENDING, Status.READY} and order.expires_at <= now:
        return Status.INVALID
    return order.status


def not_ready(detail: str) -> AcmeError:
    """Return the error for an order that cannot be finalized."""
    return AcmeError("orderNotReady", detail)


def trace_text(trace: Sequence[Decision]) -> str:
    """Return the decisions of an issuance as they are stored."""
    lines = [
        {"rule": one.rule, "asked": one.asked, "allowed": one.allowed, "why": one.why}
        for one in trace
    ]
    return json.dumps(lines)
