"""Rate limits: counted in the database, so that all nodes count together."""

from datetime import timedelta

from sqlalchemy import Connection

from pikaserver.api.errors import TooManyRequests
from pikaserver.api.operations import Clock
from pikaserver_acme.identifiers import Identifier
from pikaserver_acme.moments import stored
from pikaserver_acme.records import Policy
from pikaserver_acme.storage import accounts, authorizations, orders

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


class RateLimiter:
    """Holds what is asked against the limits of the policy."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def check_accounts(self, connection: Connection, policy: Policy, address: str) -> None:
        """Check how many accounts an address made.

        Raises:
            TooManyRequests: too many.
        """
        limit = policy.rules.limits.accounts_per_address_per_hour
        since = self._since(_HOUR)
        if limit and accounts.count_from(connection, policy.id, address, since) >= limit:
            raise too_many(f"{limit} accounts an hour come from one address at most", _HOUR)

    def check_orders(self, connection: Connection, policy: Policy, account_id: int) -> None:
        """Check how many orders an account made.

        Raises:
            TooManyRequests: too many.
        """
        limit = policy.rules.limits.orders_per_account_per_hour
        if limit and orders.count_of(connection, account_id, self._since(_HOUR)) >= limit:
            raise too_many(f"an account makes {limit} orders an hour at most", _HOUR)

    def check_set(self, connection: Connection, policy: Policy, names: str) -> None:
        """Check how many certificates there were for the same names; ``names`` is their hash.

        Raises:
            TooManyRequests: too many.
        """
        limit = policy.rules.limits.certificates_per_names_per_day
        if not limit:
            return
        if orders.count_of_set(connection, policy.id, names, self._since(_DAY)) >= limit:
            raise too_many(f"{limit} certificates a day are for the same names at most", _DAY)

    def check_proofs(
        self, connection: Connection, policy: Policy, account_id: int, asked: Identifier
    ) -> None:
        """Check how many proofs an account owes, and how often it failed at this one.

        Raises:
            TooManyRequests: too many.
        """
        limits = policy.rules.limits
        most, failures = limits.pending_authorizations, limits.failures_per_identifier_per_hour
        now = stored(self._clock())
        if most and authorizations.count_pending(connection, account_id, now) >= most:
            raise too_many(f"an account may owe {most} proofs at most", _HOUR)
        if not failures:
            return
        if orders.count_failures(connection, account_id, asked, self._since(_HOUR)) >= failures:
            raise too_many(
                f"proving {asked.base} failed {failures} times within an hour: see what the"
                " challenges say before you go on",
                _HOUR,
            )

    def _since(self, period: timedelta) -> int:
        return stored(self._clock() - period)


def too_many(why: str, period: timedelta) -> TooManyRequests:
    """Return the error; after a tenth of the period it is worth to ask again."""
    return TooManyRequests(why, int(period.total_seconds()) // 10)
