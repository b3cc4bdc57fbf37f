"""The one source of time and of randomness; nothing else asks the system for either."""

import os
from datetime import UTC, datetime


def system_clock() -> datetime:
    """Return the present, aware and in UTC."""
    return datetime.now(UTC)


def system_entropy(octets: int) -> bytes:
    """Return so many octets from the operating system's generator."""
    return os.urandom(octets)
