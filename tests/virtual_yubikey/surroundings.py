"""What is around the chip: who touches it, how long it takes, the time, and dice."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.virtual_yubikey.apdu import Refused, Status
from tests.virtual_yubikey.keys import KeyType, PrivateKey, TouchPolicy, generate

TOUCH_IS_CACHED_SECONDS = 15.0


@dataclass
class Surroundings:
    """The world of one card.

    ``touch`` is asked with the slot and tells whether somebody touched in time.  ``delay`` holds
    seconds by key type, for using and for making a key.  ``fixed_keys`` are handed out in turn
    instead of new ones.  ``gone`` is set while the card is not in the reader, ``working`` while it
    takes its time.
    """

    touch: Callable[[int], bool] = lambda _slot: True
    delay: Mapping[int, float] = field(default_factory=dict)
    fixed_keys: Mapping[int, Sequence[PrivateKey]] = field(default_factory=dict)
    monotonic: Callable[[], float] = time.monotonic
    entropy: Callable[[int], bytes] = os.urandom
    gone: threading.Event = field(default_factory=threading.Event)
    working: threading.Event = field(default_factory=threading.Event)
    _touched: float | None = None
    _hand: dict[int, Iterator[PrivateKey]] = field(default_factory=dict)

    def want_touch(self, slot: int, policy: TouchPolicy) -> None:
        """Wait for a touch where the policy asks for one.

        Raises:
            Refused: nobody touched in time; that the status is 6982 is assumed.
        """
        if policy == TouchPolicy.NEVER or (policy == TouchPolicy.CACHED and self._is_cached()):
            return
        if not self.touch(slot):
            raise Refused(Status.SECURITY_STATUS)
        self._touched = self.monotonic()

    def forget_touch(self) -> None:
        """Lose power."""
        self._touched = None

    def take_time(self, key_type: KeyType) -> None:
        """Work as long as the chip would; pulling the card ends it."""
        if seconds := self.delay.get(key_type, 0.0):
            self.working.set()
            self.gone.wait(seconds)
            self.working.clear()

    def new_key(self, key_type: KeyType) -> PrivateKey:
        """Return the next fixed key, or a new one where none is fixed or left."""
        if key_type not in self._hand:
            self._hand[key_type] = iter(self.fixed_keys.get(key_type, ()))
        fixed = next(self._hand[key_type], None)
        return generate(key_type) if fixed is None else fixed

    def _is_cached(self) -> bool:
        if self._touched is None:
            return False
        return self.monotonic() - self._touched < TOUCH_IS_CACHED_SECONDS
