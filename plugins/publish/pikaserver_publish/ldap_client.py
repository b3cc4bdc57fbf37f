"""The few operations of LDAP that a publisher needs (RFC 4511): bind, read, add, replace.

Of the libraries, ldap3 is under the LGPL and the others need headers of OpenLDAP to be built.
"""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from urllib.parse import unquote, urlsplit

from pikaserver.api.errors import MalformedRequest, RequestRejected, Unavailable
from pikaserver.api.outgoing import deadline, tls_context
from pikaserver.asn1 import der
from pikaserver_publish.ber import Value, read_value, read_values
from pikaserver_publish.settings import TlsSettings
from pikaserver_publish.uploads import PATIENCE

SUCCESS, NO_SUCH_ATTRIBUTE, NO_SUCH_OBJECT, ALREADY_EXISTS = 0, 16, 32, 68
MESSAGE_LIMIT_OCTETS = 256 * 1024 * 1024

_APPLICATION = 0x40
_CONSTRUCTED = 0x20
_ENUMERATED = 0x0A
_BIND, _UNBIND, _SEARCH, _ENTRY, _DONE, _MODIFY, _ADD = 0, 2, 3, 4, 5, 6, 8
_REFERENCE, _EXTENDED, _EXTENDED_ANSWER = 19, 23, 24
_REPLACE = 2
_START_TLS = b"1.3.6.1.4.1.1466.20037"
_PORTS = {"ldap": 389, "ldaps": 636}
_PIECE_OCTETS = 64 * 1024
_NAMES = {
    1: "operationsError", 3: "timeLimitExceeded", 7: "authMethodNotSupported",
    8: "strongerAuthRequired", 10: "referral", 11: "adminLimitExceeded",
    13: "confidentialityRequired", 16: "noSuchAttribute",
    17: "undefinedAttributeType", 19: "constraintViolation", 21: "invalidAttributeSyntax",
    32: "noSuchObject", 34: "invalidDNSyntax", 48: "inappropriateAuthentication",
    49: "invalidCredentials", 50: "insufficientAccessRights", 51: "busy", 52: "unavailable",
    53: "unwillingToPerform", 64: "namingViolation", 65: "objectClassViolation",
    68: "entryAlreadyExists", 80: "other",
}  # fmt: skip
_PASSING = {3, 51, 52}

Attributes = Mapping[str, Sequence[bytes]]


class LdapRefused(RequestRejected):
    """The server answered an operation with another result than success."""

    def __init__(self, why: str, code: int) -> None:
        super().__init__(why)
        self.code = code


class LdapConnection:
    """One connection; operations follow one another."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._last = 0

    def bind_simple(self, name: str, password: str) -> None:
        """Sign in with a name and a password.

        Raises:
            Unavailable: the server does not take them.
        """
        # An empty password would be an anonymous bind that looks like success (section 5.1.2).
        if not password:
            raise Unavailable("an empty password signs nobody in")
        self._bind(name, der.element(_context(0), password.encode()))

    def bind_external(self) -> None:
        """Let the server know us by our client certificate, or by our account at its socket.

        Raises:
            Unavailable: the server does not know us.
        """
        mechanism = der.octet_string(b"EXTERNAL")
        self._bind("", der.element(_context(3) | _CONSTRUCTED, mechanism, der.octet_string(b"")))

    def start_tls(self) -> None:
        """Ask the server to go on in TLS; the caller then wraps the line.

        Raises:
            Unavailable: it does not.
        """
        request = der.element(_context(0), _START_TLS)
        self._must(self._ask(_EXTENDED, request, _EXTENDED_ANSWER), "StartTLS")

    def read(self, entry: str, attribute: str) -> list[bytes] | None:
        """Return the values of an entry's attribute; ``None`` when there is no such entry.

        Raises:
            LdapRefused: the server does not let us.
        """
        request = (
            der.octet_string(entry.encode())
            + der.integer(0, _ENUMERATED)  # this entry alone
            + der.integer(0, _ENUMERATED)  # aliases are entries
            + der.integer(0)
            + der.integer(0)
            + der.boolean(value=False)
            + der.element(_context(7), b"objectClass")
            + der.sequence(der.octet_string(attribute.encode()))
        )
        self._send(_SEARCH, request)
        values: list[bytes] = []
        while (answer := self._receive()).tag != _tag(_DONE):
            if answer.tag == _tag(_ENTRY):
                values += _values_of(answer, attribute)
            elif answer.tag != _tag(_REFERENCE):
                raise MalformedRequest("an LDAP server answered something else to a search")
        code = _result(answer)[0]
        if code == NO_SUCH_OBJECT:
            return None
        _check(answer, f"search {entry}")
        return values

    def add(self, entry: str, attributes: Attributes) -> None:
        """Make an entry.

        Raises:
            LdapRefused: the server does not.
        """
        rows = [_attribute(name, values) for name, values in attributes.items()]
        request = der.octet_string(entry.encode()) + der.sequence(*rows)
        _check(self._ask(_ADD, request, _ADD + 1), f"add {entry}")

    def replace(self, entry: str, attribute: str, values: Sequence[bytes]) -> None:
        """Give an attribute of an entry other values.

        Raises:
            LdapRefused: the server does not.
        """
        change = der.sequence(der.integer(_REPLACE, _ENUMERATED), _attribute(attribute, values))
        request = der.octet_string(entry.encode()) + der.sequence(change)
        _check(self._ask(_MODIFY, request, _MODIFY + 1), f"modify {entry}")

    def end(self) -> None:
        """Say goodbye."""
        self._last += 1
        message = der.sequence(der.integer(self._last), der.element(_APPLICATION | _UNBIND))
        self._line.sendall(message)

    def _bind(self, name: str, authentication: bytes) -> None:
        request = der.integer(3) + der.octet_string(name.encode()) + authentication
        self._must(self._ask(_BIND, request, _BIND + 1), f"sign in as {name or 'EXTERNAL'}")

    def _must(self, answer: Value, what: str) -> None:
        """Give up the whole target when an answer is not success."""
        try:
            _check(answer, what)
        except LdapRefused as refused:
            raise Unavailable(str(refused)) from refused

    def _ask(self, operation: int, request: bytes, answers: int) -> Value:
        self._send(operation, request)
        answer = self._receive()
        if answer.tag != _tag(answers):
            raise MalformedRequest("an LDAP server answered something else")
        return answer

    def _send(self, operation: int, request: bytes) -> None:
        self._last += 1
        message = der.integer(self._last) + der.element(_tag(operation), request)
        self._line.sendall(der.sequence(message))

    def _receive(self) -> Value:
        message = read_value(self._take, MESSAGE_LIMIT_OCTETS)
        parts = read_values(message.content)
        if len(parts) < 2:  # noqa: PLR2004 - the number and the answer
            raise MalformedRequest("an LDAP server sent something else")
        number, answer = parts[0], parts[1]
        if int.from_bytes(number.content, "big") != self._last:
            # Number 0 is a notice of disconnection (section 4.4.1).
            raise Unavailable(f"the LDAP server ends the connection: {_told(answer)}")
        return answer

    def _take(self, count: int) -> bytes:
        pieces: list[bytes] = []
        while count:
            piece = self._line.recv(min(count, _PIECE_OCTETS))
            if not piece:
                raise ConnectionResetError("the LDAP server closed the connection")
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)


@contextmanager
def ldap_connection(
    url: str, tls: TlsSettings, timeout_seconds: float, *, start_tls: bool
) -> Iterator[LdapConnection]:
    """Give a connection that is not signed in yet.

    Raises:
        Unavailable: nobody answers there, or not in LDAP, or not in time.
    """
    place = url.partition("://")[2]
    try:
        with ExitStack() as stack:
            line = stack.enter_context(_dial(url, timeout_seconds))
            if start_tls:
                LdapConnection(line).start_tls()
            if start_tls or url.startswith("ldaps://"):
                host = urlsplit(url).hostname
                context = tls_context(tls.trust)
                line = stack.enter_context(context.wrap_socket(line, server_hostname=host))
            stack.enter_context(deadline(line, timeout_seconds * PATIENCE))
            connection = LdapConnection(line)
            yield connection
            connection.end()
    except MalformedRequest as error:
        raise Unavailable(f"{place}: {error}") from error
    except OSError as error:
        raise Unavailable(f"{place} cannot be reached: {error}") from error


def _dial(url: str, timeout_seconds: float) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme == "ldapi":
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(timeout_seconds)
        line.connect(unquote(parts.netloc))
        return line
    port = parts.port or _PORTS[parts.scheme]
    return socket.create_connection((parts.hostname, port), timeout_seconds)


def _context(number: int) -> int:
    """Return the identifier octet of ``[number]``, primitive."""
    return 0x80 | number


def _tag(operation: int) -> int:
    return _APPLICATION | _CONSTRUCTED | operation


def _attribute(name: str, values: Sequence[bytes]) -> bytes:
    return der.sequence(
        der.octet_string(name.encode()), der.element(0x31, *map(der.octet_string, values))
    )


def _values_of(entry: Value, attribute: str) -> list[bytes]:
    parts = read_values(entry.content)
    if len(parts) < 2:  # noqa: PLR2004 - the name and the attributes
        raise MalformedRequest("an LDAP server sent an entry without attributes")
    found: list[bytes] = []
    for row in read_values(parts[1].content):
        columns = read_values(row.content)
        if len(columns) == 2 and columns[0].content.lower() == attribute.lower().encode():  # noqa: PLR2004 - type and values
            found += [value.content for value in read_values(columns[1].content)]
    return found


def _result(answer: Value) -> tuple[int, str]:
    """Return the result's code and the server's own words (RFC 4511 section 4.1.9)."""
    parts = read_values(answer.content)
    if len(parts) < 3 or parts[0].tag != _ENUMERATED:  # noqa: PLR2004 - code, name, text
        raise MalformedRequest("an LDAP server sent something else than a result")
    return int.from_bytes(parts[0].content, "big"), _text(parts[2].content)


def _check(answer: Value, what: str) -> None:
    code, text = _result(answer)
    if code == SUCCESS:
        return
    why = f"{what}: {_NAMES.get(code, 'result')} ({code}) {text}".strip()
    if code in _PASSING:
        raise Unavailable(why)
    raise LdapRefused(why, code)


def _told(answer: Value) -> str:
    try:
        return _result(answer)[1]
    except MalformedRequest:
        return "no reason given"


def _text(octets: bytes) -> str:
    text = octets.decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text)[:200]
