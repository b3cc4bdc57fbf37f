"""STAR (RFC 8739): certificates that follow one another without being asked for."""

import logging
import re
from datetime import datetime, timedelta

from sqlalchemy import Connection

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.errors import Conflict, NotFound, PikaserverError
from pikaserver.api.issuance import Pending
from pikaserver.api.server import Server
from pikaserver_acme.asking import Asking, Case
from pikaserver_acme.moments import stored
from pikaserver_acme.problems import AcmeError
from pikaserver_acme.records import Order, Renewal, Status
from pikaserver_acme.storage import accounts, auto_renewals, orders, policies

RETRY = timedelta(minutes=1)
AT_ONCE = 100
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)

logger = logging.getLogger(__name__)


class Successors:
    """Keeps the short-lived certificates of an order coming."""

    def __init__(self, server: Server, asking: Asking) -> None:
        self._server = server
        self._asking = asking

    def begin(self, connection: Connection, case: Case, record: CertificateRecord) -> None:
        """Plan the second certificate, in the transaction that ends the first one's order."""
        if case.renewal is not None:
            auto_renewals.advance(connection, case.order.id, 1, _next(case.renewal, record))

    def of_order(self, order_id: int) -> Renewal | None:
        """Return what an order asked for."""
        with self._server.database.reading() as connection:
            return auto_renewals.get(connection, order_id)

    def by_token(self, token: str) -> tuple[Order, Renewal]:
        """Return the order and the wish that a URL means.

        Raises:
            NotFound: there is none.
        """
        if not _TOKEN.fullmatch(token):
            raise NotFound("there is no such certificate")
        with self._server.database.reading() as connection:
            found = auto_renewals.by_token(connection, token)
            order = None if found is None else orders.get(connection, found[0])
        if found is None or order is None:
            raise NotFound("there is no such certificate")
        return order, found[1]

    def check_current(self, renewal: Renewal) -> None:
        """Check that certificates still come.

        Raises:
            AcmeError: autoRenewalCanceled, autoRenewalExpired.
        """
        if renewal.canceled_at is not None:
            raise AcmeError("autoRenewalCanceled", "the order was canceled: nothing follows")
        if renewal.end_at <= stored(self._server.clock()):
            raise AcmeError("autoRenewalExpired", "the order is past its end-date; order anew")

    def cancel(self, order: Order) -> None:
        """Let no more certificates follow (RFC 8739 section 3.1.2).

        Raises:
            AcmeError: autoRenewalCancellationInvalid.
        """
        with self._server.database.transaction() as connection:
            now = stored(self._server.clock())
            valid = order.status is Status.VALID
            if not valid or not auto_renewals.cancel(connection, order.id, now):
                raise AcmeError(
                    "autoRenewalCancellationInvalid",
                    "only a valid order with auto-renewal can be canceled, once",
                )
            orders.cancel(connection, order.id, Status.VALID)
            self._server.audit.record(
                connection, "acme.order-canceled", f"acme:{order.account_id}", order=order.id
            )

    def issue_due(self) -> None:
        """Issue what is due; one that fails is tried again until the order's end."""
        now = self._server.clock()
        with self._server.database.reading() as connection:
            due = auto_renewals.due(connection, stored(now), AT_ONCE)
        for order_id in due:
            try:
                self._issue_next(order_id)
            except PikaserverError as error:
                extra = {"event": "acme-star", "order": order_id, "why": str(error)}
                logger.warning("certificate does not follow", extra=extra)
                self._postpone(order_id, now)

    def _postpone(self, order_id: int, now: datetime) -> None:
        with self._server.database.transaction() as connection:
            auto_renewals.postpone(connection, order_id, stored(now + RETRY))

    def _issue_next(self, order_id: int) -> None:
        case = self._case(order_id)
        order, renewal = case.order, case.renewal
        if renewal is None or order.csr is None:
            raise NotFound("the order has lost its wish")
        if renewal.end_at <= stored(self._server.clock()):
            self._end(order_id, renewal.issued)
            return
        number = renewal.issued + 1
        csr = self._asking.csr(case, order.csr)
        issued = self._asking.enroll(case, csr, f"order {order_id} certificate {number}", None)
        if isinstance(issued, Pending):
            raise Conflict("a person has to approve each certificate of this template")
        with self._server.database.transaction() as connection:
            follows = _next(renewal, issued.record)
            if auto_renewals.advance(connection, order_id, number, follows):
                ends = stored(issued.record.not_after)
                orders.follow(connection, order_id, issued.record.id, ends)

    def _end(self, order_id: int, issued: int) -> None:
        with self._server.database.transaction() as connection:
            auto_renewals.advance(connection, order_id, issued + 1, None)

    def _case(self, order_id: int) -> Case:
        with self._server.database.reading() as connection:
            order = orders.get(connection, order_id)
            account = None if order is None else accounts.get(connection, order.account_id)
            policy = None if account is None else policies.get(connection, account.policy_id)
            renewal = auto_renewals.get(connection, order_id)
        if order is None or account is None or policy is None:
            raise NotFound("the order has lost its account")
        if account.status is not Status.VALID or not policy.rules.auto_renewal.allowed:
            raise Conflict("the account or the policy lets no certificate follow")
        return Case(policy, account, order, renewal)


def _next(renewal: Renewal, record: CertificateRecord) -> int | None:
    """Return when the next one is due: at half of this one's life, if one is to follow."""
    half = (record.not_after - record.not_before) / 2
    following = stored(record.not_after - half)
    return following if stored(record.not_after) < renewal.end_at else None
