"""Plain mutation of inputs: octets, words of the format, and DER that stays consistent."""

import random
from collections.abc import Callable, Sequence
from itertools import pairwise

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.elements import CONSTRUCTED, children

MOST_CHANGES = 6
LIMIT_OCTETS = 70_000
"""A little more than doors let in, so that limits are met, too."""

_OCTETS = (0x00, 0x01, 0x0A, 0x20, 0x22, 0x2A, 0x2E, 0x30, 0x3A, 0x7F, 0x80, 0x84, 0xFF)
_TAGS = (0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x14, 0x16, 0x17, 0x1C, 0x1E)
_STRUCTURES = (0x30, 0x31, 0x80, 0x81, 0x82, 0x86, 0x87, 0xA0, 0xA1, 0xA3, 0xA4)


class Mutator:
    """Makes new inputs out of a corpus."""

    def __init__(
        self, corpus: Sequence[bytes], words: Sequence[bytes], *, is_der: bool, seed: int
    ) -> None:
        self._corpus = corpus
        self._words = words
        self._is_der = is_der
        self._dice = random.Random(seed)  # noqa: S311 - reproducible, no secrets

    def next(self) -> bytes:
        """Return an input."""
        octets = self._dice.choice(self._corpus)
        for _ in range(self._dice.randint(1, MOST_CHANGES)):
            octets = self._changed(octets)
        return octets[:LIMIT_OCTETS]

    def _changed(self, octets: bytes) -> bytes:
        if self._is_der and self._dice.random() < 0.7:
            try:
                return self._changed_element(octets)
            except MalformedRequest:
                pass  # an earlier change broke it
        return self._changed_octets(octets)

    def _changed_octets(self, octets: bytes) -> bytes:
        dice = self._dice
        start, end = sorted((dice.randint(0, len(octets)), dice.randint(0, len(octets))))
        end = min(end, start + dice.choice((0, 1, 1, 2, 8, 64, LIMIT_OCTETS)))
        middle = octets[start:end]
        match dice.randrange(7):
            case 0:
                middle = bytes((dice.choice(_OCTETS),)) * dice.choice((1, 1, 2, 30, 3000))
            case 1:
                middle = middle * dice.choice((2, 3, 40))
            case 2:
                middle = dice.choice(self._words or (b"",))
            case 3:
                middle = dice.randbytes(dice.choice((1, 2, 4, 20)))
            case 4:
                other = dice.choice(self._corpus)
                middle = other[dice.randint(0, len(other)) :][: dice.choice((4, 30, 300))]
            case 5:
                middle = bytes(octet ^ (1 << dice.randrange(8)) for octet in middle)
            case _:
                middle = b""
        return octets[:start] + middle + octets[end:]

    def _changed_element(self, octets: bytes) -> bytes:
        """Change one element; the lengths of those around it are written anew."""
        found = list(children(octets))
        if not found:
            return octets
        tag = octets[0]
        parts = [octets[one.at : one.end] for one in found]
        at = self._dice.randrange(len(parts))
        if found[at].tag & CONSTRUCTED and self._dice.random() < 0.8:
            parts[at] = self._changed_element(parts[at])
        else:
            parts = self._rearranged(parts, at)
        return der.element(tag, *parts)

    def _rearranged(self, parts: list[bytes], at: int) -> list[bytes]:
        dice, part = self._dice, parts[at]
        changes: tuple[Callable[[], list[bytes]], ...] = (
            lambda: [part] * dice.choice((2, 3, 50)),
            list,
            lambda: [dice.choice(parts)],
            lambda: [self._wrapped(part, 1)],
            lambda: [self._wrapped(part, dice.choice((3, 29, 40, 900)))],
            lambda: [bytes((dice.choice(_TAGS + _STRUCTURES),)) + part[1:]],
            lambda: [self._another(part)],
            lambda: [self._changed_content(part)],
        )
        return [*parts[:at], *dice.choice(changes)(), *parts[at + 1 :]]

    def _wrapped(self, part: bytes, times: int) -> bytes:
        for _ in range(times):
            part = der.element(self._dice.choice(_STRUCTURES), part)
        return part

    def _another(self, part: bytes) -> bytes:
        """Return an element from somewhere else in the corpus."""
        other = self._dice.choice(self._corpus)
        for _ in range(self._dice.randint(1, 6)):
            try:
                inner = [other[one.at : one.end] for one in children(other)]
            except MalformedRequest:
                break
            if not inner:
                break
            other = self._dice.choice(inner)
        return other or part

    def _changed_content(self, part: bytes) -> bytes:
        start, end = der.content(part, 0)
        return der.element(part[0], self._changed_octets(part[start:end]))


def boundaries(octets: bytes) -> list[bytes]:
    """Return an input cut off at every octet, and without each octet: for short inputs."""
    cuts = [octets[:end] for end in range(len(octets))]
    gaps = [octets[:start] + octets[end:] for start, end in pairwise(range(len(octets) + 1))]
    return cuts + gaps
