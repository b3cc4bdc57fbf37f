"""Accounts (RFC 8555 section 7.3): made, changed, given a new key, given up."""

import json
import re
from dataclasses import dataclass
from http import HTTPStatus

from sqlalchemy import Connection

from pikaserver.api.json_text import JsonObject
from pikaserver.api.server import Server
from pikaserver_acme.external_accounts import ExternalAccounts, refused
from pikaserver_acme.jose.json_text import flag_of, malformed, read_object, text_of, texts_of
from pikaserver_acme.jose.jws import read_envelope
from pikaserver_acme.jose.keys import AccountKey, read_key, stored_key
from pikaserver_acme.limits import RateLimiter
from pikaserver_acme.moments import stored
from pikaserver_acme.places import Places
from pikaserver_acme.problems import AcmeError, Problem
from pikaserver_acme.records import Account, ExternalAccount, Policy, Status
from pikaserver_acme.storage import accounts as storage
from pikaserver_acme.storage import authorizations, auto_renewals, external_accounts, orders

MOST_CONTACTS = 10
_MAIL = re.compile(
    r"mailto:[A-Z0-9.!#$&'*+/=^_`{|}~-]{1,64}@[A-Z0-9]([A-Z0-9.-]{0,251}[A-Z0-9])?",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who wants an account: where, with which key, and from which address."""

    policy: Policy
    places: Places
    key: AccountKey
    address: str


class Accounts:
    """Every deed about accounts."""

    def __init__(self, server: Server, externals: ExternalAccounts, limiter: RateLimiter) -> None:
        self._server = server
        self._externals = externals
        self._limiter = limiter

    def open(self, applicant: Applicant, wish: JsonObject) -> tuple[Account, bool]:
        """Return the account of this key, and whether it was made just now.

        Raises:
            AcmeError: there is none and none may be made.
        """
        found = self.of_key(applicant.policy, applicant.key)
        if found is not None:
            return _in_use(found), False
        if flag_of(wish, "onlyReturnExisting"):
            raise AcmeError("accountDoesNotExist", "there is no account with this key")
        contacts = read_contacts(wish)
        agreed = self._terms(applicant, wish)
        external = self._binding(applicant, wish)
        now = stored(self._server.clock())
        row: dict[str, object] = {
            "policy_id": applicant.policy.id,
            "thumbprint": applicant.key.thumbprint,
            "key": applicant.key.text,
            "status": Status.VALID.value,
            "contacts": json.dumps(contacts),
            "terms_agreed_at": now if agreed else None,
            "external_account_id": external and external.id,
            "external_account_binding": external and json.dumps(wish["externalAccountBinding"]),
            "address": applicant.address,
            "created_at": now,
        }
        with self._server.database.transaction() as connection:
            self._limiter.check_accounts(connection, applicant.policy, applicant.address)
            made = storage.add(connection, row)
            account = storage.by_key(connection, applicant.policy.id, applicant.key.thumbprint)
            if account is None:
                raise AcmeError("serverInternal", "the account could not be made; try again")
            if made:
                self._note_opened(connection, applicant, account, external)
        return account, made

    def of_key(self, policy: Policy, key: AccountKey) -> Account | None:
        """Return the account of a key, whatever its status."""
        with self._server.database.reading() as connection:
            return storage.by_key(connection, policy.id, key.thumbprint)

    def update(self, applicant: Applicant, account: Account, wish: JsonObject) -> Account:
        """Change contacts, agree to terms, or give the account up.

        Raises:
            AcmeError: a contact that cannot be, or another change than these.
        """
        status = text_of(wish, "status")
        if status == Status.DEACTIVATED:
            return self.end(account, Status.DEACTIVATED, f"acme:{account.id}")
        if status not in {None, Status.VALID}:
            raise malformed("an account's status can be changed to deactivated only")
        agreed = flag_of(wish, "termsOfServiceAgreed")
        contacts = read_contacts(wish) if "contact" in wish else account.contacts
        with self._server.database.transaction() as connection:
            if contacts != account.contacts:
                storage.set_contacts(connection, account.id, contacts)
            if agreed:
                storage.agree(connection, account.id, stored(self._server.clock()))
        return self.get(account.id)

    def get(self, account_id: int) -> Account:
        """Return an account.

        Raises:
            AcmeError: accountDoesNotExist.
        """
        with self._server.database.reading() as connection:
            found = storage.get(connection, account_id)
        if found is None:
            raise AcmeError("accountDoesNotExist", "there is no such account")
        return found

    def page(self, policy_id: int | None, after: int | None, limit: int) -> list[Account]:
        """Return accounts for an operator, newest first."""
        with self._server.database.reading() as connection:
            return storage.page(connection, policy_id, after, limit)

    def end(self, account: Account, status: Status, actor: str) -> Account:
        """Deactivate or revoke an account; what it had open ends with it."""
        error = Problem("unauthorized", f"the account is {status}").text()
        with self._server.database.transaction() as connection:
            if storage.end(connection, account.id, status):
                authorizations.deactivate_all_of(connection, account.id)
                orders.end_all_of(connection, account.id, error)
                now = stored(self._server.clock())
                auto_renewals.cancel_all_of(connection, account.id, now)
                self._server.audit.record(
                    connection, f"acme.account-{status}", actor, account=account.id
                )
        return self.get(account.id)

    def change_key(self, applicant: Applicant, account: Account, payload: bytes) -> Account:
        """Give the account a new key (RFC 8555 section 7.3.5); both keys have signed.

        Raises:
            AcmeError: malformed: not as the RFC asks; conflict: the new key has an account.
        """
        url = applicant.places.named("key-change")
        new = _new_key(payload, url, applicant.places.account(account.id), account)
        with self._server.database.transaction() as connection:
            other = storage.by_key(connection, account.policy_id, new.thumbprint)
            if other is not None:
                raise AcmeError(
                    "conflict",
                    "the new key has an account already",
                    headers={"Location": applicant.places.account(other.id)},
                )
            if not storage.set_key(
                connection, account.id, account.thumbprint, new.text, new.thumbprint
            ):
                raise AcmeError("conflict", "the account changed meanwhile")
            self._server.audit.record(
                connection,
                "acme.account-key-changed",
                f"acme:{account.id}",
                account=account.id,
                thumbprint=new.thumbprint,
            )
        return self.get(account.id)

    def _terms(self, applicant: Applicant, wish: JsonObject) -> bool:
        terms = applicant.policy.rules.terms_of_service
        agreed = flag_of(wish, "termsOfServiceAgreed")
        if terms is not None and not agreed:
            raise AcmeError(
                "userActionRequired",
                f"read {terms} and agree to it (termsOfServiceAgreed)",
                headers={"Link": f'<{terms}>;rel="terms-of-service"'},
            )
        return agreed

    def _binding(self, applicant: Applicant, wish: JsonObject) -> ExternalAccount | None:
        binding, wanted = wish.get("externalAccountBinding"), applicant.policy.rules.eab
        if binding is None and wanted == "required":
            raise AcmeError(
                "externalAccountRequired",
                "this directory wants an external account: ask its operator for kid and HMAC key",
            )
        if binding is None or wanted == "none":
            return None
        if not isinstance(binding, dict):
            raise malformed("externalAccountBinding is to be a JWS")
        url = applicant.places.named("new-account")
        return self._externals.bound(applicant.policy, binding, applicant.key, url)

    def _note_opened(
        self,
        connection: Connection,
        applicant: Applicant,
        account: Account,
        external: ExternalAccount | None,
    ) -> None:
        """Use the registration up, together with the account that it was used for.

        Raises:
            AcmeError: it is used up, expired or withdrawn; no account was made.
        """
        now = stored(self._server.clock())
        if external is not None and not external_accounts.spend(connection, external.id, now):
            raise refused()
        self._server.audit.record(
            connection,
            "acme.account-created",
            f"acme:{account.id}",
            policy=applicant.policy.name,
            account=account.id,
            thumbprint=account.thumbprint,
            address=applicant.address,
            kid=None if external is None else external.kid,
        )


def read_contacts(wish: JsonObject) -> tuple[str, ...]:
    """Return the contacts of an account.

    Raises:
        AcmeError: unsupportedContact, or invalidContact.
    """
    contacts = texts_of(wish, "contact") or ()
    if len(contacts) > MOST_CONTACTS:
        raise AcmeError("invalidContact", f"at most {MOST_CONTACTS} contacts are kept")
    for one in contacts:
        if not one.startswith("mailto:"):
            raise AcmeError("unsupportedContact", "contacts are mailto: URLs here")
        # RFC 8555 section 7.3: one address each, and no header fields.
        if not _MAIL.fullmatch(one):
            raise AcmeError("invalidContact", f"{one[:80]!a} is not one plain mail address")
    return contacts


def _in_use(account: Account) -> Account:
    if account.status is not Status.VALID:
        raise AcmeError(
            "unauthorized",
            f"the account with this key is {account.status}",
            status=HTTPStatus.UNAUTHORIZED,
        )
    return account


def _new_key(payload: bytes, url: str, account_url: str, account: Account) -> AccountKey:
    inner = read_envelope(read_object(payload, "the inner JWS"))
    if inner.jwk is None or inner.nonce is not None:
        raise malformed("the inner JWS is to have jwk and no nonce")
    if inner.url != url:
        raise malformed("the inner JWS is to have the url of the outer one")
    new = read_key(inner.jwk)
    inner.verify(new)
    wish = read_object(inner.payload, "the inner payload")
    old = wish.get("oldKey")
    if wish.get("account") != account_url:
        raise malformed(f"'account' is to be {account_url}")
    if not isinstance(old, dict) or read_key(old).thumbprint != stored_key(account.key).thumbprint:
        raise malformed("'oldKey' is to be the present key of the account")
    return new
