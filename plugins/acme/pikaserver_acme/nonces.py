"""Nonces (RFC 8555 section 6.5): made without a trace, used once on all nodes together.

A nonce is its end, a number, a random part, and a MAC over them under a key that the nodes
share in the database.  Making one costs nothing.  Where several nodes may be at work, using one
stores it until its end.  Where this process is the only one (the embedded database), it
remembers those that it made and were used; one from before its start is not taken any more, so
nothing has to be made durable, and clients take the fresh one that comes along.
"""

import hmac
import itertools
import struct
from datetime import timedelta
from hashlib import sha256
from threading import Lock

from pikaserver.api.operations import Clock, Entropy, Secrets
from pikaserver.api.storage import Database
from pikaserver_acme.jose import base64url
from pikaserver_acme.moments import stored
from pikaserver_acme.problems import AcmeError
from pikaserver_acme.storage import nonces as storage

LIFETIME = timedelta(hours=1)
REMEMBERED = 100_000
"""So many used ones are remembered; those made long before them are not taken any more."""
_NAME = "nonces"
_RANDOM, _MAC, _KEY = 16, 16, 32
_HEAD = struct.Struct(">QQ")
_LENGTH = _HEAD.size + _RANDOM + _MAC


class Remembered:
    """Which numbers of this process were used, and below which none is taken."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._lock = Lock()
        self._most = most
        self._used: set[int] = set()
        self._floor = 0

    def spend(self, number: int) -> bool:
        """Use a number; ``False`` if it was used, or is too old to know."""
        with self._lock:
            if number < self._floor or number in self._used:
                return False
            self._used.add(number)
            if len(self._used) > self._most:
                kept = sorted(self._used)[self._most // 2 :]
                self._floor, self._used = kept[0], set(kept)
            return True


class Nonces:
    """Makes and takes nonces."""

    def __init__(
        self, database: Database, secrets: Secrets, clock: Clock, entropy: Entropy
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock
        self._entropy = entropy
        self._key: bytes | None = None
        self._process: bytes | None = None
        self._beginning = Lock()
        self._numbers = itertools.count(1)
        self._remembered = Remembered()

    def make(self) -> str:
        """Return a fresh one."""
        key = self._shared_key()
        head = _HEAD.pack(stored(self._clock() + LIFETIME), next(self._numbers))
        body = head + (self._process or self._entropy(_RANDOM))
        return base64url.encode(body + _mac(key, body))

    def take(self, nonce: str | None) -> None:
        """Use a nonce.

        Raises:
            AcmeError: badNonce: not one of ours, too old, or used before.
        """
        end, number, value = self._read(nonce)
        if self._process is None:
            with self._database.transaction() as connection:
                fresh = storage.spend(connection, value, end)
        else:
            fresh = value[_HEAD.size :] == self._process and self._remembered.spend(number)
        if not fresh:
            raise AcmeError("badNonce", "this nonce was used before; take the fresh one")

    def sweep(self) -> None:
        """Forget used nonces that are too old to come again."""
        with self._database.transaction() as connection:
            storage.forget(connection, stored(self._clock()))

    def _read(self, nonce: str | None) -> tuple[int, int, bytes]:
        if not nonce:
            raise AcmeError("badNonce", "the request has no nonce; take the fresh one")
        octets = base64url.decode(nonce, "nonce")
        body, mac = octets[:-_MAC], octets[-_MAC:]
        if len(octets) != _LENGTH or not hmac.compare_digest(mac, _mac(self._shared_key(), body)):
            raise AcmeError("badNonce", "this nonce is not from here; take the fresh one")
        end, number = _HEAD.unpack(body[: _HEAD.size])
        if end < stored(self._clock()):
            raise AcmeError("badNonce", "this nonce is too old; take the fresh one")
        return end, number, body

    def _shared_key(self) -> bytes:
        if self._key is not None:
            return self._key
        with self._beginning:
            if self._key is None:
                # Only an embedded database can tell at once how far it is: it has one server.
                alone = self._database.commits() is not None
                self._process = self._entropy(_RANDOM) if alone else None
                self._key = self._found_key()
        return self._key

    def _found_key(self) -> bytes:
        with self._database.reading() as connection:
            sealed = storage.find_secret(connection, _NAME)
        if sealed is None:
            made = self._secrets.seal(_NAME, self._entropy(_KEY))
            with self._database.transaction() as connection:
                storage.keep_secret(connection, _NAME, made)
                sealed = storage.find_secret(connection, _NAME) or made
        return self._secrets.open(_NAME, sealed)


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, sha256)[:_MAC]
