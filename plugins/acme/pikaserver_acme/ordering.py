"""newOrder and newAuthz (RFC 8555 sections 7.4 and 7.4.1): what has to be proved, and what is."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from pikaserver.api.errors import MalformedRequest, NotFound
from pikaserver.api.json_text import JsonObject
from pikaserver.api.server import Server
from pikaserver_acme.jose import base64url
from pikaserver_acme.jose.json_text import malformed
from pikaserver_acme.limits import RateLimiter
from pikaserver_acme.moments import stored
from pikaserver_acme.policies.rules import challenge_types
from pikaserver_acme.problems import AcmeError
from pikaserver_acme.records import Account, Authorization, Order, Policy, Status
from pikaserver_acme.reusing import LASTING, Needed, one_needed, reusable
from pikaserver_acme.storage import authorizations, auto_renewals, external_accounts, orders
from pikaserver_acme.wishes import (
    AskedName,
    OrderWish,
    RenewalWish,
    names_hash,
    names_text,
    read_authorization,
    read_order,
)

TOKEN_OCTETS = 32
"""RFC 8555 section 8.1 wants 128 bits at least."""


class Ordering:
    """Takes orders."""

    def __init__(self, server: Server, limiter: RateLimiter) -> None:
        self._server = server
        self._limiter = limiter

    def place(
        self, policy: Policy, account: Account, wish: JsonObject
    ) -> tuple[Order, Sequence[int]]:
        """Store an order; return it with the numbers of the authorizations that it needs.

        Raises:
            AcmeError: it cannot be read, or the policy refuses it.
            TooManyRequests: a rate limit is reached.
        """
        now = self._server.clock()
        asked = read_order(wish, policy.rules, self.narrowed(account), now)
        if asked.replaces is not None:
            self._check_replaced(account, asked, asked.replaces)
        with self._server.database.transaction() as connection:
            self._limiter.check_orders(connection, policy, account.id)
            if asked.replaces is None:
                self._limiter.check_set(connection, policy, names_hash(asked.identifiers))
            needed = self._needed(connection, policy, account, asked.names, now)
            numbers = [self._provide(connection, policy, account, one) for one in needed]
            ready = all(one.proved for one in needed)
            row = {
                **self._row(account, asked, self._end(policy, needed)),
                "status": (Status.READY if ready else Status.PENDING).value,
            }
            numbers = sorted(set(numbers))
            found = orders.add(connection, row, numbers)
            if asked.renewal is not None:
                auto_renewals.add(connection, self._renewal_row(found.id, asked.renewal))
        return found, numbers

    def authorize(
        self, policy: Policy, account: Account, wish: JsonObject
    ) -> tuple[Authorization, bool]:
        """Return an authorization asked for beforehand, and whether it was made just now.

        Raises:
            AcmeError: it cannot be read, or the policy refuses it.
            TooManyRequests: a rate limit is reached.
        """
        asked, below = read_authorization(wish, policy.rules, self.narrowed(account))
        now = self._server.clock()
        name = AskedName(asked, asked.value if below else None)
        with self._server.database.transaction() as connection:
            (needed,) = self._needed(connection, policy, account, [name], now)
            number = self._provide(connection, policy, account, needed)
            found = authorizations.get(connection, number)
        if found is None:
            raise NotFound("the authorization is gone")
        return found, needed.found is None

    def get(self, order_id: int) -> Order:
        """Return an order, whosever it is.

        Raises:
            NotFound: there is none.
        """
        with self._server.database.reading() as connection:
            found = orders.get(connection, order_id)
        if found is None:
            raise NotFound("there is no such order")
        return found

    def authorizations(self, order: Order) -> list[int]:
        """Return the numbers of what an order needs."""
        with self._server.database.reading() as connection:
            return orders.authorizations_of(connection, order.id)

    def listed(self, account: Account, after: int | None, limit: int) -> list[int]:
        """Return the numbers of an account's orders, newest first."""
        with self._server.database.reading() as connection:
            return orders.listed(connection, account.id, after, limit)

    def proofs(self, order: Order) -> list[Authorization]:
        """Return what an order needs."""
        with self._server.database.reading() as connection:
            return authorizations.of_order(connection, order.id)

    def page(self, account_id: int | None, after: int | None, limit: int) -> list[Order]:
        """Return orders for an operator, newest first."""
        with self._server.database.reading() as connection:
            return orders.page(connection, account_id, after, limit)

    def narrowed(self, account: Account) -> tuple[str, ...]:
        """Return the patterns of the external account that an account is bound to."""
        if account.external_account_id is None:
            return ()
        with self._server.database.reading() as connection:
            found = external_accounts.get(connection, account.external_account_id)
        return () if found is None else found.allow

    def _check_replaced(self, account: Account, asked: OrderWish, replaces: str) -> None:
        """Hold ``replaces`` against RFC 9773 section 5.

        Raises:
            AcmeError: no certificate of this account, of other names, or replaced already.
        """
        _check_spelling(replaces)
        try:
            record = self._server.renewals.find(replaces)
        except (NotFound, MalformedRequest):
            raise malformed("'replaces' names no certificate that was issued here") from None
        with self._server.database.reading() as connection:
            before = orders.of_certificate(connection, record.id)
            replaced = orders.is_replaced(connection, replaces)
        if before is None or before.account_id != account.id:
            raise AcmeError("unauthorized", "'replaces' names a certificate of another account")
        if not set(before.identifiers) & set(asked.identifiers):
            raise malformed("'replaces' names a certificate that shares no identifier")
        if replaced:
            raise already_replaced()

    def _needed(
        self,
        connection: Connection,
        policy: Policy,
        account: Account,
        names: Sequence[AskedName],
        now: datetime,
    ) -> list[Needed]:
        asked = [one.identifier for one in names]
        usable = reusable(connection, policy, account.id, asked, now + LASTING)
        found = {}
        for name in names:
            one = one_needed(policy, name, usable)
            found[one.identifier, one.subdomains] = one
        return list(found.values())

    def _provide(
        self, connection: Connection, policy: Policy, account: Account, needed: Needed
    ) -> int:
        if needed.found is not None:
            return needed.found.id
        types: tuple[str, ...] = ()
        if not needed.pre_approved:
            self._limiter.check_proofs(connection, policy, account.id, needed.identifier)
            types = challenge_types(policy.rules, needed.identifier, subdomains=needed.subdomains)
            if not types:
                raise AcmeError(
                    "rejectedIdentifier",
                    f"no challenge of this directory can prove {needed.identifier.value}",
                )
        challenges = [
            {
                "type": one,
                "token": base64url.encode(self._server.entropy(TOKEN_OCTETS)),
                "status": Status.PENDING.value,
            }
            for one in types
        ]
        return authorizations.add(
            connection, self._authorization(policy, account, needed), challenges
        )

    def _authorization(
        self, policy: Policy, account: Account, needed: Needed
    ) -> Mapping[str, object]:
        now = self._server.clock()
        lifetime = timedelta(seconds=policy.rules.authorization_seconds)
        return {
            "account_id": account.id,
            "identifier_type": needed.identifier.type,
            "identifier_value": needed.identifier.base,
            "wildcard": needed.identifier.wildcard,
            "subdomains": needed.subdomains,
            "status": (Status.VALID if needed.pre_approved else Status.PENDING).value,
            "pre_approved": needed.pre_approved,
            "created_at": stored(now),
            "expires_at": stored(now + lifetime),
            "validated_at": stored(now) if needed.pre_approved else None,
        }

    def _end(self, policy: Policy, needed: Sequence[Needed]) -> int:
        """An order ends with the first of its proofs, if not sooner (RFC 8555 section 7.1.6)."""
        rules, now = policy.rules, self._server.clock()
        seconds = [rules.order_seconds]
        if any(one.found is None for one in needed):
            seconds.append(rules.authorization_seconds)
        known = [one.found.expires_at for one in needed if one.found is not None]
        return min([stored(now + timedelta(seconds=one)) for one in seconds] + known)

    def _row(self, account: Account, asked: OrderWish, ends: int) -> Mapping[str, object]:
        return {
            "account_id": account.id,
            "identifiers": names_text(asked.identifiers),
            "identifiers_hash": names_hash(asked.identifiers),
            "profile": asked.profile,
            "not_after": None if asked.not_after is None else stored(asked.not_after),
            "replaces": asked.replaces,
            "created_at": stored(self._server.clock()),
            "expires_at": ends,
            "over_at": ends,
        }

    def _renewal_row(self, order_id: int, wish: RenewalWish) -> Mapping[str, object]:
        return {
            "order_id": order_id,
            "start_at": stored(wish.start),
            "end_at": stored(wish.end),
            "lifetime_seconds": int(wish.lifetime.total_seconds()),
            "adjust_seconds": int(wish.adjust.total_seconds()),
            "allow_get": wish.allow_get,
            "token": base64url.encode(self._server.entropy(TOKEN_OCTETS)),
            "issued": 0,
        }


def already_replaced() -> AcmeError:
    """Return the error for a certificate that another order replaces (RFC 9773 section 5)."""
    return AcmeError("alreadyReplaced", "another order replaces this certificate already")


def _check_spelling(replaces: str) -> None:
    """Check that an identifier is spelled as RFC 9773 section 4.1 does, and in no other way.

    Raises:
        AcmeError: malformed: with another spelling a certificate could be replaced twice.
    """
    parts = [base64url.decode(part, "'replaces'") for part in replaces.split(".")]
    serial = parts[-1]
    needless = serial[:1] == b"\0" and serial[1:2] < b"\x80"
    if len(parts) != 2 or needless:  # noqa: PLR2004 - key identifier and serial
        raise malformed("'replaces' is to be key identifier and serial (RFC 9773 section 4.1)")
