"""The one source of time and of randomness of the agent; nothing else asks the system."""

import os
import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Return the present in milliseconds since 1970, as frames carry it."""
    return time.time_ns() // 1_000_000


def now() -> datetime:
    """Return the present, aware and in UTC."""
    return datetime.now(UTC)


def elapsed_ms() -> int:
    """Return milliseconds that only ever grow, also while this process or the host sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def entropy(octets: int) -> bytes:
    """Return so many octets from the operating system's generator."""
    return os.urandom(octets)
