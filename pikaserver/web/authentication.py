"""The host's own authenticators: client certificates of ours, and enrolment codes.

A door names the methods that count there, in the order in which it asks them; where it
names none, the code comes first: a header sent with this very request says more than a
certificate that a client shows on every line.
"""

import base64
import binascii
import hashlib
import ipaddress
from collections.abc import Callable, Sequence
from datetime import datetime
from hmac import compare_digest

import falcon

from pikaserver.api.certificates import CertificateRecord, Certificates, CertificateStatus
from pikaserver.api.codes import EnrollmentCode, EnrollmentCodes
from pikaserver.api.errors import MalformedRequest, NotAuthenticated, NotFound
from pikaserver.api.issuance import Requester
from pikaserver.api.lockouts import Lockouts
from pikaserver.api.web import Authenticator, client_connection

HEADER_LIMIT = 1024
"""Characters of an Authorization header that we read."""

_FAILURES_OF_USER = 5
# Many devices may stand behind one address.
_FAILURES_OF_ADDRESS = 100
_NAME_LIMIT = 300
_WRONG = "wrong user or code"

_REASONS = {
    CertificateStatus.PENDING: "is not issued yet",
    CertificateStatus.ON_HOLD: "is on hold",
    CertificateStatus.REVOKED: "is revoked",
    CertificateStatus.EXPIRED: "is expired",
}


class CertificateAuthenticator:
    """Knows clients by a certificate of ours that TLS proved to be theirs.

    Status and validity are asked of the database for each request: a revocation counts at
    once, even on a line that was opened before it.
    """

    method = "certificate"

    def __init__(self, certificates: Certificates, clock: Callable[[], datetime]) -> None:
        self._certificates = certificates
        self._clock = clock

    def authenticate(self, request: falcon.Request) -> Requester | None:
        """See ``pikaserver.api.web.Authenticator``."""
        connection = client_connection(request)
        if connection.tls is None:
            return None
        if connection.tls.certificate_fault is not None:
            raise NotAuthenticated(connection.tls.certificate_fault)
        if connection.tls.certificate is None:
            return None
        try:
            record = self._certificates.by_certificate(connection.tls.certificate)
        except NotFound:
            raise NotAuthenticated("the client certificate is not one of ours") from None
        self._check(record)
        return Requester(
            name=f"certificate:{record.subject}"[:_NAME_LIMIT],
            method=self.method,
            address=connection.address,
            certificate=record,
        )

    def _check(self, record: CertificateRecord) -> None:
        if record.status is not CertificateStatus.VALID:
            raise NotAuthenticated(f"the client certificate {_REASONS[record.status]}")
        now = self._clock()
        if now < record.not_before:
            raise NotAuthenticated("the client certificate is not valid yet")
        # RFC 5280 section 4.1.2.5: both ends are part of the validity.
        if now > record.not_after:
            raise NotAuthenticated("the client certificate is expired")


class CodeAuthenticator:
    """Knows clients by an enrolment code, sent as HTTP Basic (RFC 7617).

    The uses of a code are counted by its proof, where the certificate is stored: a spent
    code still tells who asks, so that its owner can fetch what waited for approval, but it
    buys nothing more.
    """

    method = "code"

    def __init__(
        self, codes: EnrollmentCodes, clock: Callable[[], datetime], lockouts: Lockouts
    ) -> None:
        self._codes = codes
        self._clock = clock
        self._by_user = lockouts.named("code-user", _FAILURES_OF_USER)
        self._by_address = lockouts.named("code-address", _FAILURES_OF_ADDRESS)

    def authenticate(self, request: falcon.Request) -> Requester | None:
        """See ``pikaserver.api.web.Authenticator``.

        Raises:
            NotAuthenticated: the header is malformed, or user or code are wrong or expired.
            TooManyRequests: this address has guessed too often.
        """
        try:
            credentials = read_basic(request.get_header("Authorization"))
        except MalformedRequest as error:
            raise NotAuthenticated(str(error)) from None
        if credentials is None:
            return None
        user, secret = credentials
        address = client_connection(request).address
        code = self._find(network(address), user, secret)
        return Requester(
            name=f"code:{code.user}",
            method=self.method,
            address=address,
            templates=frozenset({code.template}),
            proof=code.proof,
            common_name=code.common_name,
        )

    def _find(self, address: str, user: str, secret: str) -> EnrollmentCode:
        guesser = f"{address} {user}"
        self._by_address.check(address)
        self._by_user.check(guesser)
        code = self._codes.find(user)
        # A user that does not exist takes as long as one that does.
        expected = bytes(32) if code is None else code.code_hash
        right = compare_digest(hashlib.sha256(secret.encode()).digest(), expected)
        if code is None or not right:
            self._by_user.failed(guesser)
            self._by_address.failed(address)
            raise NotAuthenticated(_WRONG)
        self._by_user.succeeded(guesser)
        if self._clock() > code.expires_at:
            raise NotAuthenticated("the enrolment code is expired")
        return code


def first_credential(
    authenticators: Sequence[Authenticator],
    request: falcon.Request,
    methods: Sequence[str] | None = None,
) -> Requester:
    """Return what the first authenticator says that knows a credential of the request.

    Args:
        authenticators: those of the host and of all plugins.
        request: the request with the credentials.
        methods: the kinds that count, in this order; ``None`` means all as they come.

    Raises:
        NotAuthenticated: there is no credential of these kinds, or a wrong one.
    """
    asked = authenticators
    if methods is not None:
        asked = [one for method in methods for one in authenticators if one.method == method]
    for authenticator in asked:
        requester = authenticator.authenticate(request)
        if requester is not None:
            return requester
    wanted = " or ".join(dict.fromkeys(one.method for one in asked)) or "nothing"
    raise NotAuthenticated(f"no credential was shown; what counts here: {wanted}")


def read_basic(header: str | None) -> tuple[str, str] | None:
    """Return user and password of an Authorization header, ``None`` if it is not Basic.

    Raises:
        MalformedRequest: it is Basic and cannot be read as RFC 7617 section 2 says: base64,
            UTF-8, a colon, no control characters.
    """
    if header is None:
        return None
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    if len(header) > HEADER_LIMIT:
        raise MalformedRequest(f"an Authorization header has at most {HEADER_LIMIT} characters")
    try:
        text = base64.b64decode(credentials.strip(" "), validate=True).decode()
    except (binascii.Error, ValueError):
        raise MalformedRequest("the Basic credentials are not UTF-8 in base64") from None
    user, colon, password = text.partition(":")
    if not colon:
        raise MalformedRequest("the Basic credentials have no colon between user and code")
    if any(ord(character) < 32 or ord(character) == 127 for character in text):  # noqa: PLR2004 - ASCII
        raise MalformedRequest("the Basic credentials have control characters")
    return user, password


def network(address: str) -> str:
    """Return what counts as one guesser: the address, of IPv6 the first 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed), 64), strict=False))
