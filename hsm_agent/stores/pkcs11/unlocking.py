"""Asks the worker, and brings the PIN where it wants one: each PIN that is wrong once only."""

import threading
from collections.abc import Iterator, Mapping, Sequence

from hsm_agent.stores.pkcs11.pins import PinSource, RefusedPins
from hsm_agent.stores.pkcs11.pipe import flag, number, text
from hsm_agent.stores.pkcs11.pipeline import Pipeline
from hsm_agent.stores.pkcs11.refused import (
    ABSENT,
    AGAIN,
    EXISTS,
    FAULT,
    LOGIN,
    PIN_LOCKED,
    PIN_LOW,
    PIN_WRONG,
    UNKNOWN_KEY,
    UNSUPPORTED,
)
from hsm_agent.stores.pkcs11.waiting import Answered
from hsm_agent.stores.store import (
    KeyExists,
    PinLocked,
    PinNeeded,
    StoreError,
    TokenAbsent,
    TokenFault,
    UnknownKey,
    Unsupported,
)
from hsm_agent.wire.encoding import Value

_ERRORS: Mapping[str, type[StoreError]] = {
    ABSENT: TokenAbsent,
    PIN_WRONG: PinNeeded,
    PIN_LOW: PinLocked,
    PIN_LOCKED: PinLocked,
    UNKNOWN_KEY: UnknownKey,
    EXISTS: KeyExists,
    UNSUPPORTED: Unsupported,
}
_PERHAPS_TRIED = (AGAIN, FAULT)
_MOST_ROUNDS = 5


class Unlocking:
    """The one who may log in to the token; ``limit`` are the seconds for an ordinary request."""

    def __init__(
        self, pipeline: Pipeline, pin: PinSource, refused: RefusedPins, limit: float
    ) -> None:
        self._pipeline = pipeline
        self._pin = pin
        self._refused = refused
        self._limit = limit
        self._lock = threading.Lock()
        self._logged_in = -1

    def ask(
        self, request: Mapping[str, Value], limit: float = 0.0, *, with_pin: bool = False
    ) -> Mapping[str, Value]:
        """Return the worker's answer, logging in and asking again where that is the cure.

        ``limit`` are seconds, where the usual ones do not do; ``with_pin`` is for keys that want
        the PIN each time.

        Raises:
            StoreError: it was not done.
        """
        return self._until_done(request, limit or self._limit, with_pin=with_pin)

    def ask_all(self, requests: Sequence[Mapping[str, Value]]) -> Iterator[Sequence[Answered]]:
        """Yield the answers to requests as they come, as `ask` would give each of them.

        Raises:
            StoreError: those that were not yielded were not done.
        """
        for answers in self._pipeline.ask_all(requests, self._limit):
            yield [
                one if not text(one.answer, "error") else self._again(one, requests[one.place])
                for one in answers
            ]

    def _again(self, first: Answered, request: Mapping[str, Value]) -> Answered:
        try:
            return Answered(first.place, self._until_done(request, self._limit, first.answer))
        except StoreError as fault:
            return Answered(first.place, {}, fault)

    def _until_done(
        self,
        request: Mapping[str, Value],
        limit: float,
        first: Mapping[str, Value] | None = None,
        *,
        with_pin: bool = False,
    ) -> Mapping[str, Value]:
        """Ask until there is an answer that no cure is known for; ``first`` came already."""
        lost = tried = False
        for _ in range(_MOST_ROUNDS):
            if first is not None:
                answer, first = first, None
            elif with_pin:
                with self._lock:
                    answer = self._with_pin(request, limit)
            else:
                answer = self._pipeline.ask(request, limit, once=tried)
            tried = tried or flag(answer, "tried")
            code = text(answer, "error")
            if not code:
                return answer
            if code == LOGIN:
                self._log_in(number(answer, "number"))
            elif code == AGAIN and not lost:
                lost = True
            else:
                raise _error(answer)
        raise TokenFault("the token forgets again and again who is logged in")

    def look(self, patience: float) -> Mapping[str, Value] | None:
        """Return what the token tells of itself; no PIN is tried.

        ``None`` means that the worker was busy with others for so many seconds.

        Raises:
            StoreError: it is not there, or it failed.
        """
        answer = self._pipeline.glance({"do": "look"}, self._limit, patience)
        if answer is not None and text(answer, "error") == AGAIN:
            answer = self._pipeline.glance({"do": "look"}, self._limit, patience)
        if answer is not None and text(answer, "error"):
            raise _error(answer)
        return answer

    def pin_trouble(self) -> str:
        """Say why the configured PIN will not be tried, empty where nothing speaks against it."""
        if not self._pin.at_hand:
            return ""
        try:
            self._refused.check(self._pin.read())
        except PinNeeded as trouble:
            return str(trouble)
        return ""

    def _log_in(self, session: int) -> None:
        """Log in, unless another caller has done it since that session was seen to be none."""
        with self._lock:
            if session <= self._logged_in:
                return
            answer = self._with_pin({"do": "login"}, self._limit)
            if text(answer, "error"):
                raise _error(answer)
            self._logged_in = session

    def _with_pin(self, request: Mapping[str, Value], limit: float) -> Mapping[str, Value]:
        """Ask with the PIN, keeping account of how that ended."""
        pin = self._pin.read()
        with self._refused.turn(pin):
            answer = self._pipeline.ask({**request, "pin": pin}, limit, once=True)
            code = text(answer, "error")
            if not code:
                self._refused.right(pin)
            elif code == PIN_WRONG:
                self._refused.wrong(pin)
            elif code not in _PERHAPS_TRIED:
                self._refused.not_tried(pin)
        return answer


def _error(answer: Mapping[str, Value]) -> StoreError:
    return _ERRORS.get(text(answer, "error"), TokenFault)(text(answer, "why"))
