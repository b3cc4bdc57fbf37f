"""Host names in URLs of others: plain names only, nothing that a resolver takes for an address."""

import re

from pikaserver_acme.validation.attempt import Failed

LONGEST_NAME = 253
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?", re.ASCII)
# What inet_aton takes for a part of an address: decimal, octal or hexadecimal (0x7f.1, 0177.1).
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


def read_name(text: str) -> str:
    """Return a DNS name in small letters without the last dot.

    Raises:
        Failed: it is an address in whatever spelling, or no name.
    """
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise Failed("connection", f"{text[:100]!r} is not a DNS name")
    if _NUMBER.fullmatch(labels[-1]):
        raise Failed("connection", f"{text[:100]!r} is an address, or would be taken for one")
    if labels[-1] == "localhost":
        raise Failed("connection", f"{text[:100]!r} is this host's own name for itself")
    return name
