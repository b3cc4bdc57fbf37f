"""TimeStampResp (RFC 3161 section 2.4.2): a token, or the bit that says why there is none."""

from collections.abc import Iterator, Sequence

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.elements import BIT_STRING, INTEGER, SEQUENCE, Element, children, members
from pikaserver.asn1.refusing import refusing
from pikaserver.asn1.time_stamps import Failure

LIMIT_OCTETS = 1 << 20
_GRANTED = (b"\x00", b"\x01")
_REJECTION = 2
_UTF8_STRING = 0x0C
_WORDS_OCTETS = 1000


def granted(token: bytes) -> bytes:
    """Return the TimeStampResp that carries a token."""
    return der.sequence(der.sequence(der.integer(0)), token)


def refused(failure: Failure, why: str) -> bytes:
    """Return the TimeStampResp that says why there is no token."""
    # Cut between two characters, never within one.
    words = why.encode()[:_WORDS_OCTETS].decode(errors="ignore").encode()
    bits = bytearray(failure // 8 + 1)
    bits[failure // 8] |= 0x80 >> failure % 8
    unused = 7 - failure % 8
    return der.sequence(
        der.sequence(
            der.integer(_REJECTION),
            der.sequence(der.element(_UTF8_STRING, words)),
            der.bit_string(bytes(bits), unused),
        )
    )


def read_response(octets: bytes) -> bytes:
    """Return the token of a TimeStampResp.

    Raises:
        MalformedRequest: it is none, or refuses; the text has the reason it gives.
    """
    with refusing("TimeStampResp"):
        der.check(octets, limit_octets=LIMIT_OCTETS)
        return _token(octets)


def _token(octets: bytes) -> bytes:
    info, *rest = members(octets, "a TimeStampResp")
    status, *reasons = members(octets, "a PKIStatusInfo", info.at)
    if status.tag != INTEGER or len(rest) > 1:
        raise MalformedRequest("not a TimeStampResp")
    if octets[status.start : status.end] in _GRANTED and rest:
        return octets[rest[0].at : rest[0].end]
    told = [*_failures(octets, reasons), *_words(octets, reasons)]
    raise MalformedRequest("no time-stamp: " + ("; ".join(told) or "without a reason"))


def _failures(octets: bytes, reasons: Sequence[Element]) -> Iterator[str]:
    for part in reasons:
        if part.tag == BIT_STRING:
            bits = octets[part.start + 1 : part.end]
            yield from (failure.name for failure in Failure if _has(bits, failure))


def _has(bits: bytes, failure: Failure) -> bool:
    at = failure // 8
    return at < len(bits) and bool(bits[at] & 0x80 >> failure % 8)


def _words(octets: bytes, reasons: Sequence[Element]) -> Iterator[str]:
    """Yield what a stranger wrote, fit for a terminal."""
    for part in reasons:
        if part.tag == SEQUENCE:
            for text in children(octets, part.at):
                words = octets[text.start : text.end][:_WORDS_OCTETS].decode(errors="replace")
                yield "".join(letter if letter.isprintable() else "?" for letter in words)
