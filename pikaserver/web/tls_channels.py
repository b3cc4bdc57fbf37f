"""One connection over TLS: the handshake in steps, then a channel like any other."""

import socket
import time
from dataclasses import dataclass

from pikaserver.api.web import ClientConnection
from pikaserver.web.channels import Channel, Owner
from pikaserver.web.peers import Peer
from pikaserver.web.tls_lines import TlsLine

TLS_SEND_OCTETS = 16 * 1024
"""OpenSSL writes one record per call; a larger piece would be copied again for each."""


@dataclass(frozen=True, slots=True)
class HandshakeStep:
    """One step of one handshake; public-key operations are not for the loop."""

    channel: "TlsChannel"

    def service(self) -> None:
        """Take the step."""
        self.channel.shake_hands()

    def cancel(self) -> None:
        """Leave it; the server closes its connections."""


class TlsChannel(Channel):
    """One connection over TLS; ``line`` has not shaken hands yet."""

    def __init__(
        self, server: Owner, sock: socket.socket, peer: Peer, adj: object, line: TlsLine
    ) -> None:
        self.shaken = False
        self.awaits: str | None = "read"
        super().__init__(server, sock, peer, adj)
        self.line = line
        self.sendbuf_len = TLS_SEND_OCTETS

    @property
    def is_at_work(self) -> bool:
        """Whether a worker has the channel, for a step of the handshake or a request."""
        if self.shaken or self.close_when_flushed or self.lingering_since is not None:
            return super().is_at_work
        return self.awaits is None

    def readable(self) -> bool:
        """Tell whether to wait for octets."""
        if self.shaken or self.lingering_since is not None:
            return super().readable()
        return self.awaits == "read"

    def writable(self) -> bool:
        """Tell whether to wait for room to write, or to close."""
        return super().writable() or self.awaits == "write"

    def handle_read(self) -> None:
        """Take what has arrived."""
        if self.shaken or self.lingering_since is not None:
            super().handle_read()
        else:
            self._take_step()

    def handle_write(self) -> None:
        """Go on with the handshake or the answer."""
        if self.awaits == "write":
            self._take_step()
        else:
            super().handle_write()

    def _take_step(self) -> None:
        self.awaits = None
        self.server.shake_hands(HandshakeStep(self))

    def shake_hands(self) -> None:
        """Go as far as the peer's octets allow; in a worker."""
        with self.outbuf_lock:
            if not isinstance(self.line, TlsLine) or self.shaken:
                return
            try:
                self.awaits = self.line.shake_hands()
            except OSError as error:
                # The alert is on its way; the peer shall be able to read it.
                self.unread = self.close_when_flushed = True
                self.server.handshake_failed(self, error)
            else:
                if self.awaits is None:
                    self._begin(self.line)
            self.arm()

    def _begin(self, line: TlsLine) -> None:
        self.connection = ClientConnection(self.server.name, self.peer.address, line.session())
        self.shaken = True
        self.touched = time.monotonic()

    def is_overdue(self, now: float) -> bool:
        """Tell whether the peer let us wait too long; a handshake has its own time."""
        if self.shaken or self.lingering_since is not None:
            return super().is_overdue(now)
        return now - self.opened > self.server.limits.handshake_seconds

    def _pending(self) -> bool:
        return isinstance(self.line, TlsLine) and self.line.pending() > 0

    def _say_goodbye(self) -> None:
        if isinstance(self.line, TlsLine) and self.shaken:
            self.line.say_goodbye()
        # What still comes is thrown away, so it need not be decrypted.
        self.line = self.socket
