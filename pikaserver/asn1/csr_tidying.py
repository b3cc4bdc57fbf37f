"""Requests as some clients write them, put in order for a reader that insists on it."""

from pikaserver.asn1 import der
from pikaserver.asn1.elements import CONSTRUCTED, CONTEXT, SET, Element, children

_ATTRIBUTES = CONTEXT | CONSTRUCTED


def tidied(octets: bytes) -> bytes:
    """Return a copy for reading: every SET OF sorted, and attributes where none were sent."""
    info, algorithm, signature = children(octets)
    fields = list(children(octets, info.at))
    encoded = [_sorted(octets, field) for field in fields]
    if len(fields) == 3:  # noqa: PLR2004 - version, subject, key
        encoded.append(der.context(0, b""))
    return der.sequence(
        der.sequence(*encoded),
        octets[algorithm.at : algorithm.end],
        octets[signature.at : signature.end],
    )


def _sorted(octets: bytes, found: Element) -> bytes:
    if not found.tag & CONSTRUCTED:
        return octets[found.at : found.end]
    inner = [_sorted(octets, child) for child in children(octets, found.at)]
    if found.tag in (SET, _ATTRIBUTES):
        inner.sort()
    return octets[found.at : found.start] + b"".join(inner)
