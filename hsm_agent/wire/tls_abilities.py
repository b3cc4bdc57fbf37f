"""Which kinds of TLS keys this process's TLS library has, found out by using them."""

import os
import ssl
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from io import FileIO

from hsm_agent.wire.channel_kinds import CLASSICAL_TLS, ML_DSA_TLS

HYBRID_GROUP = 0x11EC
HYBRID_NAME = "X25519MLKEM768"
_KEY_SHARE = 51
_BEFORE_SESSION = 5 + 4 + 2 + 32
"""Octets of a ServerHello before its session: heads of record and message, version, random."""
_TURNS = 6
"""More than a handshake takes, where each side speaks once in a turn."""


@dataclass(frozen=True, slots=True)
class TlsLibrary:
    """What the TLS library has: kinds of keys, and whether it agrees on secrets by ML-KEM too."""

    kinds: tuple[str, ...] = (CLASSICAL_TLS,)
    hybrid: bool = False

    def __str__(self) -> str:
        agreed = (
            HYBRID_NAME if self.hybrid else "no key agreement that withstands quantum computers"
        )
        return f"{ssl.OPENSSL_VERSION}: {', '.join(self.kinds)}; {agreed}"


def tls_library(ml_dsa_pem: bytes) -> TlsLibrary:
    """Return what this process's TLS library has, after a handshake with itself in memory.

    ``ml_dsa_pem`` holds an ML-DSA key and its self-signed certificate: a library that has one
    parameter set has all three, and one without ML-DSA has no ML-KEM either.
    """
    try:
        group = _agreed_group(ml_dsa_pem)
    except ssl.SSLError:
        return TlsLibrary()
    return TlsLibrary((CLASSICAL_TLS, *ML_DSA_TLS), group == HYBRID_GROUP)


def explain_missing(kind: str) -> str:
    """Say why a kind of TLS key cannot be used here."""
    return (
        f"the TLS library of this Python ({ssl.OPENSSL_VERSION}) has no {kind} keys:"
        " that takes OpenSSL 3.5 or newer"
    )


def load_pem(context: ssl.SSLContext, pem: bytes) -> None:
    """Let a context use a key with its certificate, which touches no disk on the way."""
    with closing(FileIO(os.memfd_create("identity", os.MFD_CLOEXEC), "r+")) as file:
        file.write(pem)
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")


def anchors(certificates: Sequence[bytes]) -> str:
    """Return certificates (DER) as a context takes them for trusted: several at once, as text.

    Of several in DER, Python finds the end only with the OpenSSL that it was built with.
    """
    return "".join(map(ssl.DER_cert_to_PEM_cert, certificates))


def _agreed_group(pem: bytes) -> int:
    """Return the group in which a client and a server with this key agree on a secret."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    server.minimum_version = client.minimum_version = ssl.TLSVersion.TLSv1_3
    load_pem(server, pem)
    from_client, from_server, to_server, to_client = (ssl.MemoryBIO() for _ in range(4))
    ends = (
        client.wrap_bio(to_client, from_client),
        server.wrap_bio(to_server, from_server, server_side=True),
    )
    first = b""
    for _ in range(_TURNS):
        done = [_step(end) for end in ends]
        to_server.write(from_client.read())
        answer = from_server.read()
        to_client.write(answer)
        first = first or answer
        if all(done):
            return _group_of(first)
    raise ssl.SSLError("a handshake without an end")


def _step(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _group_of(server_hello: bytes) -> int:
    """Return the group of the key share in a ServerHello (RFC 8446 section 4.1.3)."""
    place = _BEFORE_SESSION + 1 + server_hello[_BEFORE_SESSION] + 3 + 2
    while place + 4 < len(server_hello):
        kind, octets = (int.from_bytes(server_hello[place + i : place + i + 2]) for i in (0, 2))
        if kind == _KEY_SHARE:
            return int.from_bytes(server_hello[place + 4 : place + 6])
        place += 4 + octets
    return 0
