"""Authorizations and challenges (RFC 8555 section 7.5): begun by clients, settled by validation.

Implements ``pikaserver_acme.validation.question.Challenges``.
"""

import json
from collections.abc import Callable

from sqlalchemy import Connection

from pikaserver.api.errors import NotFound
from pikaserver.api.server import Server
from pikaserver_acme.jose.keys import stored_key
from pikaserver_acme.moments import stored
from pikaserver_acme.places import Places
from pikaserver_acme.problems import AcmeError, Problem, Subproblem
from pikaserver_acme.records import Account, Authorization, Challenge, Policy, Status
from pikaserver_acme.storage import accounts, authorizations, orders, policies
from pikaserver_acme.validation.question import Question, Verdict

PlacesOf = Callable[[str], Places]
"""Returns the URLs of a policy, as clients reach it by default."""


class Proving:
    """Every deed about authorizations and challenges."""

    def __init__(self, server: Server, places: PlacesOf) -> None:
        self._server = server
        self._places = places

    def authorization(self, account: Account, authorization_id: int) -> Authorization:
        """Return an authorization of an account.

        Raises:
            NotFound: there is none.
            AcmeError: unauthorized: it is another account's.
        """
        with self._server.database.reading() as connection:
            found = authorizations.get(connection, authorization_id)
        if found is None:
            raise NotFound("there is no such authorization")
        if found.account_id != account.id:
            raise AcmeError("unauthorized", "this authorization is another account's")
        return found

    def challenges(self, found: Authorization) -> list[Challenge]:
        """Return the challenges of an authorization."""
        with self._server.database.reading() as connection:
            return authorizations.challenges_of(connection, [found.id])

    def challenge(self, account: Account, challenge_id: int) -> tuple[Challenge, Authorization]:
        """Return a challenge of an account, and what it proves.

        Raises:
            NotFound: there is none.
            AcmeError: unauthorized: it is another account's.
        """
        with self._server.database.reading() as connection:
            found = authorizations.get_challenge(connection, challenge_id)
        if found is None:
            raise NotFound("there is no such challenge")
        return found, self.authorization(account, found.authorization_id)

    def attempts(self, challenge_id: int) -> list[dict[str, object]]:
        """Return what was tried, line by line."""
        with self._server.database.reading() as connection:
            return authorizations.attempts_of(connection, challenge_id)

    def begin(self, found: Challenge, authorization: Authorization, response: bytes) -> bool:
        """Note that the client is ready; ``True``: validation is to begin.

        One that was begun stays as it is: a client may say it twice.

        Raises:
            AcmeError: malformed: the authorization is no longer open.
        """
        now = stored(self._server.clock())
        if authorization.status is not Status.PENDING or authorization.expires_at <= now:
            if found.status is Status.PENDING:
                raise AcmeError("malformed", f"the authorization is {shown(authorization, now)}")
            return False
        with self._server.database.transaction() as connection:
            return authorizations.begin(connection, found.id, response, now)

    def deactivate(self, found: Authorization) -> Authorization:
        """Give an authorization up; open orders that need it end.

        Raises:
            AcmeError: malformed: it has ended already.
        """
        error = Problem("unauthorized", f"the authorization of {found.proves.value} was given up")
        with self._server.database.transaction() as connection:
            if not authorizations.deactivate(connection, found.id):
                raise AcmeError("malformed", f"the authorization is {found.status}")
            orders.make_invalid(connection, found.id, error.text())
            after = authorizations.get(connection, found.id)
        return after or found

    def ask(self, challenge_id: int) -> Question | None:
        """See the protocol."""
        with self._server.database.reading() as connection:
            found = authorizations.get_challenge(connection, challenge_id)
            if found is None or found.status is not Status.PROCESSING:
                return None
            authorization = authorizations.get(connection, found.authorization_id)
            if authorization is None or authorization.status is not Status.PENDING:
                return None
            account = accounts.get(connection, authorization.account_id)
            if account is None or account.status is not Status.VALID:
                return None
            policy = policies.get(connection, account.policy_id)
        if policy is None:
            return None
        return self._question(found, authorization, account, policy)

    def settle(self, challenge_id: int, verdict: Verdict) -> bool:
        """See the protocol."""
        with self._server.database.transaction() as connection:
            found = authorizations.get_challenge(connection, challenge_id)
            if found is None:
                return False
            authorization = authorizations.get(connection, found.authorization_id)
            if authorization is None:
                return False
            return self._settle(connection, found, authorization, verdict)

    def _settle(
        self,
        connection: Connection,
        found: Challenge,
        authorization: Authorization,
        verdict: Verdict,
    ) -> bool:
        now = stored(self._server.clock())
        problem = None if verdict.valid else _problem(verdict).text()
        status = Status.VALID if verdict.valid else Status.INVALID
        if not authorizations.settle(connection, found.id, status, problem, now):
            return False
        authorizations.note(connection, found.id, verdict.log, now)
        if verdict.valid:
            facts = json.dumps(dict(verdict.facts)) if verdict.facts else None
            if authorizations.validate(connection, authorization.id, found.type, facts, now):
                orders.make_ready(connection, authorization.id)
        elif authorizations.invalidate(connection, authorization.id):
            proves = authorization.proves
            sub = Subproblem(verdict.error or "unauthorized", verdict.detail, proves)
            why = f"{proves.value} could not be proved: {verdict.detail}"
            error = Problem(sub.kind, why, subproblems=(sub,))
            orders.make_invalid(connection, authorization.id, error.text())
        self._server.audit.record(
            connection,
            f"acme.challenge-{status}",
            f"acme:{authorization.account_id}",
            challenge=found.id,
            type=found.type,
            identifier=authorization.proves.value,
            error=verdict.error,
        )
        return True

    def _question(
        self, found: Challenge, authorization: Authorization, account: Account, policy: Policy
    ) -> Question:
        return Question(
            challenge_id=found.id,
            challenge_type=found.type,
            identifier_type=authorization.identifier.type,
            identifier_value=authorization.identifier.value,
            wildcard=authorization.wildcard,
            subdomains=authorization.subdomains,
            token=found.token,
            key_authorization=f"{found.token}.{stored_key(account.key).thumbprint}",
            account_url=self._places(policy.name).account(account.id),
            response=found.response or b"{}",
            limits=policy.rules.validation(),
        )


def shown(found: Authorization, now: int) -> Status:
    """Return an authorization's status at a time: what is open ends by itself."""
    if found.status in {Status.PENDING, Status.VALID} and found.expires_at <= now:
        return Status.EXPIRED
    return found.status


def _problem(verdict: Verdict) -> Problem:
    return Problem(verdict.error or "unauthorized", verdict.detail)
