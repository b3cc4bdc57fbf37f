"""Waiting for what another thread does, for so long and no longer."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SECONDS = 60.0
"""Only a fault makes it so long; a machine that has much else to do may need some of it."""
_EACH = 0.005


def until(condition: Callable[[], T], what: str = "it", seconds: float = SECONDS) -> T:
    """Return what a condition gives, as soon as that is true.

    Raises:
        TimeoutError: it never was; the text names ``what`` did not happen.
    """
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen")
        time.sleep(_EACH)
    return found
