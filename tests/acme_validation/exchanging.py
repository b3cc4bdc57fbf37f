"""One HTTP exchange with fixed octets."""

import socket

from pikaserver_acme.validation.attempt import Attempt
from pikaserver_acme.validation.http_exchange import Answer, get


def exchanged(octets: bytes) -> Answer:
    """Return what is read when a server says these octets and hangs up."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(octets)
        theirs.shutdown(socket.SHUT_WR)
        return get(ours, "www.example.org", "/", Attempt(30))
