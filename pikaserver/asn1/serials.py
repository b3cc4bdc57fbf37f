"""Serial numbers in hex, as tools print them and people paste them."""

import re

from pikaserver.api.errors import MalformedRequest

_LONGEST = 40
_FORM = re.compile(
    r"(?:serial\s*[=:]\s*)?(?:0x)?([0-9a-f]+(?:(?::|\s+)[0-9a-f]+)*)", re.IGNORECASE | re.ASCII
)


def write_serial(serial: int) -> str:
    """Return a serial number as ``openssl x509 -serial`` prints it: whole octets, upper case."""
    text = f"{serial:X}"
    return text if len(text) % 2 == 0 else "0" + text


def read_serial(text: str) -> int:
    """Read a serial in hex; ``serial=``, ``0x``, colons and blanks are passed over.

    Raises:
        MalformedRequest: it is no number from 1 to 20 octets long (RFC 5280 section 4.1.2.2).
    """
    found = _FORM.fullmatch(text.strip())
    digits = re.sub(r"[:\s]", "", found[1]) if found else ""
    if not digits or len(digits) > _LONGEST or int(digits, 16) == 0:
        raise MalformedRequest(
            f"{text[:60]!a} is not a serial number in hex, as 'openssl x509 -serial' prints it"
        )
    return int(digits, 16)
