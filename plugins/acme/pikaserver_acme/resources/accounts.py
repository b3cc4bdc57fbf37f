"""Accounts over HTTP (RFC 8555 section 7.3)."""

import falcon

from pikaserver_acme import messages
from pikaserver_acme.accounts import Applicant
from pikaserver_acme.office import Office
from pikaserver_acme.problems import AcmeError
from pikaserver_acme.records import Account
from pikaserver_acme.resources.door import Call
from pikaserver_acme.resources.signed import SignedOnly

PAGE = 100


class NewAccount(SignedOnly):
    """``POST new-account``."""

    def __init__(self, office: Office) -> None:
        self._door = office.door
        self._accounts = office.accounts

    def on_post(self, request: falcon.Request, response: falcon.Response, policy: str) -> None:
        """Answer the account of this key: 201 where it was made just now, else 200."""
        call = self._door.by_key(request, response, policy)
        found, made = self._accounts.open(applicant(call), call.document)
        url = call.places.account(found.id)
        self._door.answer(
            response, messages.account(found, call.places), created=url if made else None
        )
        response.set_header("Location", url)


class OneAccount(SignedOnly):
    """``POST account/<number>``."""

    def __init__(self, office: Office) -> None:
        self._door = office.door
        self._accounts = office.accounts

    def on_post(
        self, request: falcon.Request, response: falcon.Response, policy: str, number: int
    ) -> None:
        """Answer the account, changed where something was sent."""
        call = self._door.by_account(request, response, policy)
        found = own(call, number)
        if call.payload:
            found = self._accounts.update(applicant(call), found, call.document)
        self._door.answer(response, messages.account(found, call.places))


class Orders(SignedOnly):
    """``POST account/<number>/orders`` (RFC 8555 section 7.1.2.1)."""

    def __init__(self, office: Office) -> None:
        self._door = office.door
        self._ordering = office.ordering

    def on_post(
        self, request: falcon.Request, response: falcon.Response, policy: str, number: int
    ) -> None:
        """Answer one page of the account's orders, newest first."""
        call = self._door.by_account(request, response, policy)
        found = own(call, number)
        call.check_empty()
        after = request.get_param_as_int("after", min_value=0, max_value=2**62)
        numbers = self._ordering.listed(found, after, PAGE + 1)
        page = numbers[:PAGE]
        links = {}
        if len(numbers) > PAGE:
            links["next"] = f"{call.places.orders(found.id)}?after={page[-1]}"
        orders = [call.places.order(one) for one in page]
        self._door.answer(response, {"orders": orders}, links=links)


class KeyChange(SignedOnly):
    """``POST key-change`` (RFC 8555 section 7.3.5)."""

    def __init__(self, office: Office) -> None:
        self._door = office.door
        self._accounts = office.accounts

    def on_post(self, request: falcon.Request, response: falcon.Response, policy: str) -> None:
        """Give the account the key that has signed inside."""
        call = self._door.by_account(request, response, policy)
        found = self._accounts.change_key(applicant(call), call.holder, call.payload)
        self._door.answer(response, messages.account(found, call.places))
        response.set_header("Location", call.places.account(found.id))


def applicant(call: Call) -> Applicant:
    """Return who signed."""
    return Applicant(call.policy, call.places, call.key, call.address)


def own(call: Call, number: int) -> Account:
    """Return the caller's account where the URL names it.

    Raises:
        AcmeError: unauthorized: it names another one.
    """
    if call.holder.id != number:
        raise AcmeError("unauthorized", "this is another account's")
    return call.holder
