"""External account binding (RFC 8555 section 7.3.4): registrations, and proofs of them."""

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta

from pikaserver.api.errors import NotFound, RequestRejected
from pikaserver.api.json_text import JsonObject
from pikaserver.api.operations import Entropy
from pikaserver.api.server import Server
from pikaserver_acme.identifiers import check_pattern
from pikaserver_acme.jose import base64url
from pikaserver_acme.jose.json_text import malformed, read_object
from pikaserver_acme.jose.jws import MACS, read_envelope
from pikaserver_acme.jose.keys import AccountKey, mac_key, read_key
from pikaserver_acme.moments import stored
from pikaserver_acme.policies.directory import Policies
from pikaserver_acme.problems import AcmeError
from pikaserver_acme.records import ExternalAccount, Policy
from pikaserver_acme.storage import external_accounts as storage

MOST_USES = 1_000_000
_PURPOSE = "acme-external-account"
_KEY_OCTETS, _KID_OCTETS = 32, 12
_KID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewExternalAccount:
    """A registration with its secret in clear: shown once, stored sealed."""

    kid: str
    hmac: str = field(repr=False)
    policy: str
    uses: int
    expires_at: int


class ExternalAccounts:
    """Makes registrations and holds bindings against them."""

    def __init__(self, server: Server, policies: Policies) -> None:
        self._server = server
        self._policies = policies

    def create(
        self,
        policy: str,
        actor: str,
        *,
        uses: int = 1,
        lifetime: timedelta = timedelta(days=30),
        allow: tuple[str, ...] = (),
        comment: str = "",
    ) -> NewExternalAccount:
        """Make a registration; this is the one time that its secret is seen.

        Raises:
            NotFound: no such policy.
            RequestRejected: the policy takes no bindings, or a number or pattern is absurd.
        """
        found = self._policies.get(policy)
        if found.rules.eab == "none":
            raise RequestRejected(f"policy {policy!r} takes no external accounts")
        if not 1 <= uses <= MOST_USES or lifetime <= timedelta(0):
            raise RequestRejected("a registration needs at least one use and a lifetime")
        patterns = [check_pattern(one) for one in allow]
        entropy, now = self._server.entropy, self._server.clock()
        kid, key = base64url.encode(_drawn(entropy, _KID_OCTETS)), _drawn(entropy, _KEY_OCTETS)
        ends = stored(now + lifetime)
        with self._server.database.transaction() as connection:
            storage.add(
                connection,
                {
                    "policy_id": found.id,
                    "kid": kid,
                    "sealed_key": self._server.secrets.seal(_PURPOSE, key),
                    "uses": uses,
                    "uses_left": uses,
                    "allow": json.dumps(patterns),
                    "comment": comment,
                    "created_at": stored(now),
                    "created_by": actor,
                    "expires_at": ends,
                },
            )
            self._server.audit.record(
                connection, "acme.eab-created", actor, policy=policy, kid=kid, uses=uses
            )
        return NewExternalAccount(kid, base64url.encode(key), policy, uses, ends)

    def withdraw(self, kid: str, actor: str) -> None:
        """Make a registration worthless for new accounts.

        Raises:
            NotFound: there is none that could still be used.
        """
        with self._server.database.transaction() as connection:
            if not storage.withdraw(connection, kid, stored(self._server.clock())):
                raise NotFound(f"there is no registration {kid!r} that could still be used")
            self._server.audit.record(connection, "acme.eab-withdrawn", actor, kid=kid)

    def all(self, policy: str | None) -> list[ExternalAccount]:
        """Return the registrations of a policy, or all, newest first.

        Raises:
            NotFound: no such policy.
        """
        policy_id = None if policy is None else self._policies.get(policy).id
        with self._server.database.reading() as connection:
            return storage.list_all(connection, policy_id)

    def bound(
        self, policy: Policy, binding: JsonObject, key: AccountKey, url: str
    ) -> ExternalAccount:
        """Return the registration that a binding proves; it is not used up by that.

        Raises:
            AcmeError: malformed: not as RFC 8555 asks; unauthorized: unknown or a wrong MAC.
        """
        message = read_envelope(binding, MACS)
        if message.kid is None or message.nonce is not None:
            raise malformed("externalAccountBinding is to have kid and no nonce")
        if message.url != url:
            raise AcmeError("unauthorized", f"externalAccountBinding is to have the url {url}")
        found = None
        if _KID.fullmatch(message.kid):
            with self._server.database.reading() as connection:
                found = storage.find(connection, policy.id, message.kid)
        if found is None:
            raise refused()
        secret = self._server.secrets.open(_PURPOSE, found.sealed_key)
        try:
            message.verify_mac(mac_key(secret))
        except AcmeError as error:
            if error.problem.kind == "malformed":
                raise refused() from None
            raise
        if read_key(read_object(message.payload, "the bound key")).thumbprint != key.thumbprint:
            raise malformed("externalAccountBinding is for another account key")
        return found


def _drawn(entropy: Entropy, octets: int) -> bytes:
    """Return octets that base64url does not write with a minus sign at the beginning.

    Programs like certbot would take such a word on their command line for another option.
    """
    while base64url.encode(drawn := entropy(octets)).startswith("-"):
        pass
    return drawn


def refused() -> AcmeError:
    """Return the error for a binding that does not count; it does not say which part is wrong."""
    return AcmeError(
        "unauthorized",
        "this external account is unknown here, used up, expired or withdrawn, or its HMAC key"
        " is another one; ask for a new one",
    )
