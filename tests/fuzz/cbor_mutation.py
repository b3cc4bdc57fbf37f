"""Mutation of CBOR that keeps it CBOR: one field at a time, or a few at random."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cbor2

MOST_CHANGES = 4
_NUMBERS = (0, 1, 2, 255, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64, -1, -(1 << 70))
_TEXTS = ("", "x", "a/b", "../../etc/passwd", "\0", "\x1b[2J", "\ud7ff", "ä" * 600, "x" * 1024)
_OCTETS = (b"", b"\0", bytes(31), bytes(32), bytes(33), b"\x30\x80\0\0", b"\xff" * 5000)
_FOREIGN = (None, 1.5, float("nan"), cbor2.CBORSimpleValue(99), cbor2.CBORTag(42, b"x"), -7)
"""What the protocol's subset of CBOR does not have."""


def pack(tree: object) -> bytes:
    """Return the canonical encoding of anything, also of what the protocol does not have."""
    return cbor2.dumps(tree, canonical=True)


def variants(tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield everything that differs from a tree in one place, each with the place's name."""
    yield from _variants(tree, "")


def _variants(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    for number, other in enumerate(_others(tree)):
        yield f"{path} {type(tree).__name__}:{number}", other
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            rest = {key: one for key, one in tree.items() if key != name}
            yield f"{path}/{name} missing", rest
            yield f"{path}/{name} twice named", {**rest, f"{name}s": value}
            for where, other in _variants(value, f"{path}/{name}"):
                yield where, {**rest, name: other}
        yield f"{path} more", {**tree, "more": 1}
        yield f"{path} number as a name", {**tree, 7: 1}
    elif isinstance(tree, Sequence) and not isinstance(tree, bytes | str):
        for place, value in enumerate(tree):
            yield f"{path}[{place}] missing", [*tree[:place], *tree[place + 1 :]]
            yield f"{path}[{place}] twice", [*tree[:place], value, *tree[place:]]
            for where, other in _variants(value, f"{path}[{place}]"):
                yield where, [*tree[:place], other, *tree[place + 1 :]]


def _others(value: Any) -> list[Any]:
    """Return values in the place of one: of its own type, of other types, of none."""
    kinds: dict[type, Sequence[Any]] = {
        int: _NUMBERS,
        str: _TEXTS,
        bytes: _OCTETS,
        bool: (),
        list: ([], [[]], [value], [1] * 1000),
        dict: ({}, {"t": "ping"}),
    }
    own = kinds.get(type(value), ())
    changed: list[Any] = []
    if isinstance(value, bytes) and value:
        middle = len(value) // 2
        flipped = value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
        changed = [flipped, value[:-1], value + b"\0", value * 2]
    elif isinstance(value, bool):
        changed = [not value]
    elif isinstance(value, int):
        changed = [value + 1, max(0, value - 1)]
    elif isinstance(value, str):
        changed = [value + "\0", value.upper(), value * 2]
    foreign = [one for kind in kinds if kind is not type(value) for one in kinds[kind][:1]]
    return [*changed, *own, *foreign, True, *_FOREIGN, _deep(12)]


def _deep(depth: int) -> Any:
    return [_deep(depth - 1)] if depth else 1


class CborMutator:
    """Makes new inputs out of a corpus of canonical CBOR."""

    def __init__(self, corpus: Sequence[bytes], seed: int) -> None:
        self._corpus = [cbor2.loads(octets) for octets in corpus]
        self._dice = random.Random(seed)  # noqa: S311 - reproducible, no secrets

    def next(self) -> bytes:
        """Return an input."""
        tree = self._dice.choice(self._corpus)
        for _ in range(self._dice.randint(1, MOST_CHANGES)):
            tree = self._changed(tree)
        octets = pack(tree)
        return self._damaged(octets) if self._dice.random() < 0.1 else octets

    def _changed(self, tree: Any) -> Any:
        dice = self._dice
        if isinstance(tree, Mapping) and tree and dice.random() < 0.9:
            name = dice.choice(sorted(tree, key=str))
            if dice.random() < 0.05:
                return {key: value for key, value in tree.items() if key != name}
            return {**tree, name: self._changed(tree[name])}
        if isinstance(tree, list) and tree and dice.random() < 0.9:
            place = dice.randrange(len(tree))
            return [*tree[:place], self._changed(tree[place]), *tree[place + 1 :]]
        return dice.choice(self._exchanged(tree))

    def _exchanged(self, value: Any) -> list[Any]:
        """Return other values, some of them from elsewhere in the corpus."""
        found: list[Any] = []
        _collect(self._dice.choice(self._corpus), type(value), found)
        return [*_others(value), *(self._dice.choices(found, k=8) if found else [])]

    def _damaged(self, octets: bytes) -> bytes:
        place = self._dice.randrange(len(octets))
        match self._dice.randrange(4):
            case 0:
                return octets[:place]
            case 1:
                return octets + self._dice.randbytes(3)
            case 2:
                return octets[:place] + self._dice.randbytes(2) + octets[place:]
            case _:
                bit = 1 << self._dice.randrange(8)
                return octets[:place] + bytes([octets[place] ^ bit]) + octets[place + 1 :]


def _collect(tree: Any, kind: type, found: list[Any]) -> None:
    if type(tree) is kind:
        found.append(tree)
    if isinstance(tree, Mapping):
        for value in tree.values():
            _collect(value, kind, found)
    elif isinstance(tree, list):
        for value in tree:
            _collect(value, kind, found)
