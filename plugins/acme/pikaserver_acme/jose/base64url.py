"""base64url without padding (RFC 7515 section 2): one spelling for each value."""

import base64
import binascii
import re

from pikaserver_acme.jose.json_text import malformed

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)


def encode(octets: bytes) -> str:
    """Return octets as text."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def decode(text: str, what: str) -> bytes:
    """Return the octets of a text.

    Raises:
        AcmeError: malformed: other characters, padding, or bits that say nothing.
    """
    if not _ALPHABET.fullmatch(text):
        raise malformed(f"{what} is not base64url without padding")
    try:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise malformed(f"{what} is not base64url: its length is wrong") from None
    if encode(octets) != text:
        raise malformed(f"{what} is not base64url in its only spelling")
    return octets
