"""What every request goes through: its policy, its URL, its key, its nonce, its signature."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus

import falcon

from pikaserver.api.errors import NotFound, PikaserverError, TooLarge, Unavailable
from pikaserver.api.json_text import JsonObject
from pikaserver.api.server import Server
from pikaserver.api.web import client_connection
from pikaserver_acme.jose.json_text import malformed, read_object
from pikaserver_acme.jose.jws import LIMIT_OCTETS, SignedMessage, read_message
from pikaserver_acme.jose.keys import AccountKey, read_key, stored_key
from pikaserver_acme.nonces import Nonces
from pikaserver_acme.places import Places, origin_of
from pikaserver_acme.policies.rules import POLICY_NAME
from pikaserver_acme.problems import MEDIA_TYPE, AcmeError, problem_of
from pikaserver_acme.records import Account, Policy, Status
from pikaserver_acme.settings import AcmeSettings
from pikaserver_acme.storage import accounts, policies

SERVICE = "acme"
REQUEST_TYPE = "application/jose+json"


@dataclass(frozen=True)
class Call:
    """A request whose signature, URL and nonce were checked.

    ``account`` is ``None`` where the request came with a key (``jwk``) instead.
    """

    policy: Policy
    places: Places
    key: AccountKey
    account: Account | None
    payload: bytes
    address: str

    @cached_property
    def document(self) -> JsonObject:
        """The payload as a JSON object.

        Raises:
            AcmeError: malformed: it is none.
        """
        return read_object(self.payload, "the payload")

    @property
    def holder(self) -> Account:
        """The account that signed."""
        if self.account is None:
            raise malformed("this request is to be signed by an account (kid)")
        return self.account

    def check_empty(self) -> None:
        """Check that the request only asks (POST-as-GET, RFC 8555 section 6.3).

        Raises:
            AcmeError: malformed: it brings something along.
        """
        if self.payload:
            raise malformed("send an empty payload: nothing can be changed here")


class Door:
    """Reads requests, and answers them."""

    def __init__(self, server: Server, nonces: Nonces) -> None:
        self._server = server
        self._nonces = nonces
        self._further = server.settings(AcmeSettings).origins

    @cached_property
    def _origins(self) -> tuple[str, ...]:
        """Where clients reach us: what a URL in a request may begin with."""
        base = self._server.base_url(SERVICE)
        local = map(origin_of, self._server.local_urls(SERVICE))
        known = (origin_of(base) if base else None, *self._further, *local)
        return tuple(dict.fromkeys(one for one in known if one is not None))

    def default_places(self, policy: str) -> Places:
        """Return the URLs of a policy where no request says how it came here.

        Raises:
            Unavailable: nobody knows under which address clients reach us.
        """
        if not self._origins:
            raise Unavailable("the address of this server is not known: set server.base-urls.acme")
        return Places(self._origins[0], policy)

    def places(self, request: falcon.Request, policy: str) -> Places:
        """Return the URLs of a policy under the address that the client used, if it is ours."""
        asked = origin_of(f"{request.scheme}://{request.netloc}")
        if asked in self._origins:
            return Places(asked, policy)
        return self.default_places(policy)

    def open_policy(self, name: str) -> Policy:
        """Return a policy whose directory is open.

        Raises:
            NotFound: there is none.
        """
        found = None
        # Paths hold whatever somebody typed; only what can be a name goes to the database.
        if POLICY_NAME.fullmatch(name):
            with self._server.database.reading() as connection:
                found = policies.find(connection, name)
        if found is None or not found.enabled:
            raise NotFound(f"there is no directory {name[:64]!a} here")
        return found

    def by_account(self, request: falcon.Request, response: falcon.Response, policy: str) -> Call:
        """Read a request that an account signs (``kid``).

        Raises:
            AcmeError: it is not signed so.
        """
        message = self._message(request, response, policy)
        if message.kid is None:
            raise malformed("this request is to have kid, the account's URL, and no jwk")
        return _with_index(response, self._by_kid(request, message, policy))

    def by_key(self, request: falcon.Request, response: falcon.Response, policy: str) -> Call:
        """Read a request that comes with its key (``jwk``).

        Raises:
            AcmeError: it is not signed so.
        """
        message = self._message(request, response, policy)
        if message.jwk is None:
            raise malformed("this request is to have jwk and no kid")
        return _with_index(response, self._by_jwk(request, message, policy))

    def by_either(self, request: falcon.Request, response: falcon.Response, policy: str) -> Call:
        """Read a request that either signs: revokeCert.

        Raises:
            AcmeError: it is not signed so.
        """
        message = self._message(request, response, policy)
        read = self._by_jwk if message.jwk is not None else self._by_kid
        return _with_index(response, read(request, message, policy))

    def answer(
        self,
        response: falcon.Response,
        document: Mapping[str, object],
        *,
        created: str | None = None,
        links: Mapping[str, str] | None = None,
    ) -> None:
        """Answer with an object; ``created`` is the URL of one that was made just now."""
        response.content_type = falcon.MEDIA_JSON
        response.data = json.dumps(document).encode()
        if created is not None:
            response.status = falcon.HTTP_CREATED
            response.set_header("Location", created)
        for relation, url in (links or {}).items():
            response.append_header("Link", f'<{url}>;rel="{relation}"')

    def fresh_nonce(self, response: falcon.Response) -> None:
        """Give the client a nonce for its next request."""
        response.set_header("Replay-Nonce", self._nonces.make())

    def answer_error(
        self, request: falcon.Request, response: falcon.Response, error: PikaserverError
    ) -> None:
        """See ``pikaserver.api.web.AnswerError``."""
        problem = problem_of(error)
        document = problem.document()
        response.status = falcon.code_to_http_status(int(str(document["status"])))
        response.content_type = MEDIA_TYPE
        response.data = json.dumps(document).encode()
        if isinstance(error, AcmeError):
            for name, value in error.headers.items():
                response.set_header(name, value)
        if request.method == "POST":
            # Without a database there is none to give, and the answer goes out all the same.
            with suppress(PikaserverError):
                self.fresh_nonce(response)

    def _message(
        self, request: falcon.Request, response: falcon.Response, policy: str
    ) -> SignedMessage:
        self.fresh_nonce(response)
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        if kind != REQUEST_TYPE:
            raise AcmeError(
                "malformed",
                f"the Content-Type is to be {REQUEST_TYPE}",
                status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            )
        octets = request.bounded_stream.read(LIMIT_OCTETS + 1)
        if len(octets) > LIMIT_OCTETS:
            raise TooLarge(f"a request has at most {LIMIT_OCTETS} octets")
        message = read_message(octets)
        asked = request.relative_uri
        origin = next((one for one in self._origins if message.url == one + asked), None)
        if origin is None:
            here = self.places(request, policy).origin + request.relative_uri
            raise AcmeError(
                "unauthorized", f"the signed url is another one than {here}, which was asked"
            )
        return message

    def _by_jwk(self, request: falcon.Request, message: SignedMessage, policy: str) -> Call:
        key = read_key(message.jwk or {})
        message.verify(key)
        found = self.open_policy(policy)
        self._nonces.take(message.nonce)
        return self._call(request, message, found, key, None)

    def _by_kid(self, request: falcon.Request, message: SignedMessage, policy: str) -> Call:
        account, found = self._account(message.kid or "", policy)
        key = stored_key(account.key)
        message.verify(key)
        self._nonces.take(message.nonce)
        if account.status is not Status.VALID:
            raise AcmeError(
                "unauthorized",
                f"the account is {account.status}",
                status=HTTPStatus.UNAUTHORIZED,
            )
        return self._call(request, message, found, key, account)

    def _account(self, kid: str, policy: str) -> tuple[Account, Policy]:
        account_id = self._account_id(kid, policy)
        known = None
        if account_id is not None:
            with self._server.database.reading() as connection:
                known = accounts.with_policy(connection, account_id)
        if known is None or known[1].name != policy or not known[1].enabled:
            self.open_policy(policy)
            raise AcmeError("accountDoesNotExist", "kid is no account of this directory")
        return known

    def _account_id(self, kid: str, policy: str) -> int | None:
        places = (Places(one, policy) for one in self._origins)
        return next((found for one in places if (found := one.account_id(kid)) is not None), None)

    def _call(
        self,
        request: falcon.Request,
        message: SignedMessage,
        policy: Policy,
        key: AccountKey,
        account: Account | None,
    ) -> Call:
        places = Places(origin_of(message.url) or "", policy.name)
        address = client_connection(request).address
        return Call(policy, places, key, account, message.payload, address)


def _with_index(response: falcon.Response, call: Call) -> Call:
    """Say where the directory is (RFC 8555 section 7.1)."""
    response.append_header("Link", f'<{call.places.directory}>;rel="index"')
    return call
