"""What stands in the path of a GET (RFC 6960 appendix A.1): an authority, a request, or both."""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

from pikaserver.api.errors import MalformedRequest, NotFound

_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}", re.ASCII)
_FIRST = "M"
"""With it a SEQUENCE begins in base64."""

_LINE_ENDS = str.maketrans("", "", "\r\n")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came, and the only authority that shall answer, if one is named."""

    octets: bytes
    authority: str | None


def read_get(rest: str, is_authority: Callable[[str], bool]) -> Asked:
    """Read what follows ``/ocsp``, without its percent-encoding.

    Base64 has slashes of its own, and some clients put one more between URL and request.  The
    first part may name an authority; names have small letters only, and a request begins with
    a capital one.

    Raises:
        MalformedRequest: there is no request in it.
        NotFound: there is one, behind the name of an authority that is not ours.
    """
    rest = rest.lstrip("/")
    name, _, request = rest.partition("/")
    if rest[:1] == _FIRST:
        return Asked(read_base64(rest), None)
    octets = read_base64(request.lstrip("/"))
    if not is_authority(name):
        raise NotFound("there is no authority of that name")
    return Asked(octets, name)


def read_base64(text: str) -> bytes:
    """Return the octets in base64, with or without line ends and padding.

    Raises:
        MalformedRequest: it is no base64 of a request.
    """
    text = text.translate(_LINE_ENDS)
    if not text.startswith(_FIRST) or not _BASE64.fullmatch(text):
        raise MalformedRequest("no request in base64")
    text = text.rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise MalformedRequest(f"no request in base64: {error}") from None
