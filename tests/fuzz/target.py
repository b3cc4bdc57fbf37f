"""What one parser promises."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One parser; whatever it raises beside ``refusals`` is a bug, and so is being slow.

    Slow may be what only those can write who own the host: its settings, files of keys.
    """

    parse: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    seeds: Callable[[], list[bytes]]
    words: tuple[bytes, ...] = ()
    is_der: bool = False
    is_cbor: bool = False
    is_trusted: bool = False
