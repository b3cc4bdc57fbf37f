"""TLS over one socket: octets in and out, and what the handshake told of the client."""

from contextlib import suppress
from dataclasses import dataclass
from socket import socket

from OpenSSL import SSL, crypto

from pikaserver.api.web import TlsSession

EXPORTER = b"EXPORTER-Channel-Binding"
"""RFC 9266 section 4.2; the context is empty."""
EXPORTER_OCTETS = 32

_CODES = SSL.X509VerificationCodes
_FOREIGN = "was not issued by an authority of this server"
_FAULTS_OF_A_CHAIN = {
    _CODES.ERR_UNABLE_TO_GET_ISSUER_CERT: _FOREIGN,
    _CODES.ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY: _FOREIGN,
    _CODES.ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: _FOREIGN,
    _CODES.ERR_DEPTH_ZERO_SELF_SIGNED_CERT: _FOREIGN,
    _CODES.ERR_SELF_SIGNED_CERT_IN_CHAIN: _FOREIGN,
    _CODES.ERR_CERT_CHAIN_TOO_LONG: "comes with too long a chain",
}
_FAULTS_OF_ONE = {
    _CODES.ERR_CERT_SIGNATURE_FAILURE: "has a wrong signature",
    _CODES.ERR_CERT_NOT_YET_VALID: "is not valid yet",
    _CODES.ERR_CERT_HAS_EXPIRED: "is expired",
    _CODES.ERR_INVALID_CA: "is not an authority's",
    _CODES.ERR_PATH_LENGTH_EXCEEDED: "has more authorities below it than it allows",
    _CODES.ERR_PERMITTED_VIOLATION: "holds a name that its authority may not certify",
    _CODES.ERR_EXCLUDED_VIOLATION: "holds a name that its authority may not certify",
    _CODES.ERR_UNHANDLED_CRITICAL_EXTENSION: "has a critical extension that is not known here",
}


@dataclass(slots=True)
class Verdict:
    """What OpenSSL found while it verified the client's certificate, if there was one."""

    verified: bool = False
    fault: str | None = None


class Judge:
    """Hears of each certificate in a client's chain, and of each fault (SSL_CTX_set_verify(3)).

    A strict one ends the handshake at the first fault.  The other lets it go on, so that the
    application can say what is wrong; the certificate is then never handed out.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict

    def __call__(
        self, tls: SSL.Connection, _certificate: crypto.X509, code: int, depth: int, good: int
    ) -> bool:
        """Note the verdict; it must not raise, for pyOpenSSL would blame any other connection."""
        verdict: Verdict = tls.get_app_data()
        if good:
            verdict.verified |= depth == 0
        elif code == _CODES.ERR_INVALID_PURPOSE and depth == 0:
            # What a leaf may be used for is the application's question: a web server renews its
            # certificate with that very certificate, which says serverAuth only.
            return True
        elif verdict.fault is None:
            verdict.fault = _sentence(code, depth)
        return verdict.fault is None or not self._strict


def _sentence(code: int, depth: int) -> str:
    if code in _FAULTS_OF_A_CHAIN:
        return f"the client certificate {_FAULTS_OF_A_CHAIN[code]}"
    which = "a certificate above the client certificate" if depth else "the client certificate"
    fault = _FAULTS_OF_ONE.get(code, f"cannot be verified (OpenSSL's error {code})")
    return f"{which} {fault}"


class TlsLine:
    """TLS over a socket that does not block, with a socket's manners.

    OpenSSL knows the descriptor by its number only: nobody may use the line when the socket is
    closed, for the number may be another connection's by then.
    """

    def __init__(self, context: SSL.Context, sock: socket) -> None:
        self._verdict = Verdict()
        self._tls = SSL.Connection(context, sock)
        self._tls.set_app_data(self._verdict)
        self._tls.set_accept_state()

    def shake_hands(self) -> str | None:
        """Go as far as the peer's octets allow; say what to wait for, ``None`` at the end.

        Raises:
            OSError: the handshake failed; the reason is for the log.
        """
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            return "read"
        except SSL.WantWriteError:
            return "write"
        except SSL.Error as error:
            raise ConnectionError(self._verdict.fault or reason(error)) from None
        return None

    def recv(self, limit_octets: int) -> bytes:
        """Return octets, none at the end.

        Raises:
            OSError: as a socket would.
        """
        try:
            return self._tls.recv(limit_octets)
        except SSL.ZeroReturnError:
            return b""
        except SSL.Error as error:
            raise _as_socket_error(error) from None

    def send(self, octets: bytes) -> int:
        """Send what the socket takes now.

        Raises:
            OSError: as a socket would.
        """
        try:
            return self._tls.send(octets)
        except SSL.Error as error:
            raise _as_socket_error(error) from None

    def pending(self) -> int:
        """Return how many octets OpenSSL holds that no poll can see."""
        return self._tls.pending()

    def say_goodbye(self) -> None:
        """Send close_notify without waiting for the peer's (RFC 8446 section 6.1)."""
        with suppress(SSL.Error):
            self._tls.shutdown()

    def session(self) -> TlsSession:
        """Return what a finished handshake tells; only a verified certificate is in it."""
        tls, verdict = self._tls, self._verdict
        certificate = None
        shown = tls.get_peer_certificate()
        if shown is not None and verdict.verified and verdict.fault is None:
            certificate = crypto.dump_certificate(crypto.FILETYPE_ASN1, shown)
        return TlsSession(
            version=tls.get_protocol_version_name(),
            cipher=tls.get_cipher_name() or "",
            certificate=certificate,
            channel_bindings=_channel_bindings(tls),
            certificate_fault=verdict.fault,
        )


def _channel_bindings(tls: SSL.Connection) -> dict[str, bytes]:
    if tls.get_protocol_version() == SSL.TLS1_3_VERSION:
        return {"tls-exporter": tls.export_keying_material(EXPORTER, EXPORTER_OCTETS, b"")}
    # RFC 5929 section 3.1 wants the first Finished.  Sessions are never resumed here, and in a
    # full handshake the client's comes first (RFC 5246 section 7.3).
    finished = tls.get_peer_finished()
    return {"tls-unique": finished} if finished else {}


def _as_socket_error(error: SSL.Error) -> OSError:
    if isinstance(error, SSL.WantReadError | SSL.WantWriteError):
        return BlockingIOError()
    return ConnectionError(reason(error))


def reason(error: SSL.Error) -> str:
    """Return OpenSSL's own words."""
    if isinstance(error, SSL.SysCallError):
        return str(error.args[-1])
    queue = error.args[0] if error.args else []
    return "; ".join(words for *_, words in queue) or "the connection is broken"
