"""The message of a GET request: base64, as sloppily as devices write it."""

import base64
import binascii
from urllib.parse import unquote

from pikaserver.api.errors import MalformedRequest
from pikaserver_scep.messages import LIMIT_OCTETS

_URL_SAFE = str.maketrans("-_ ", "+/+")
_WHITE_SPACE = str.maketrans("", "", "\r\n\t")


def read_query(text: str) -> bytes:
    """Return the octets of ``message`` (RFC 8894 section 4.1), already decoded once.

    Some clients leave ``+`` as it is, so that it arrives as a space; some encode twice, break
    lines, use the alphabet for URLs, or leave out the padding.

    Raises:
        MalformedRequest: it is not base64 all the same.
    """
    if "%" in text:
        text = unquote(text)
    text = text.translate(_WHITE_SPACE).translate(_URL_SAFE).rstrip("=")
    if not text or len(text) > LIMIT_OCTETS * 4 // 3 + 4:
        raise MalformedRequest("expected a message in base64")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise MalformedRequest("expected a message in base64") from None


def read_body(body: bytes) -> bytes:
    """Return the octets of a POST request: DER or BER, or base64 of it, which is met too.

    Raises:
        MalformedRequest: there are none.
    """
    if not body:
        raise MalformedRequest("expected a message, found an empty body")
    if body[:1] == b"\x30" and not body.isascii():
        return body
    try:
        return read_query(body.decode("ascii"))
    except (UnicodeDecodeError, MalformedRequest):
        return body
