"""The page of NDES on which a password is found, in the shape that programs look for.

Microsoft's page is HTML 3 in UTF-16LE without a byte order mark.  Programs find the password by the
words before it and by the tags around it, so words, tags and blanks stand as there.
"""

import hashlib
from typing import Literal

Encoding = Literal["utf-16", "utf-8"]
GROUP = 8
TITLE = "Network Device Enrollment Service"

_HEAD = (
    "<HTML><Head>"
    '<Meta HTTP-Equiv="Content-Type" Content="text/html; charset={charset}">'
    f"<Title>{TITLE}</Title></Head><Body><P ID=locPageTitle> {TITLE} </P>"
)
_TAIL = "</Body></HTML>\r\n"
_FOUND = (
    "<P> To enroll a device you need the following: "
    "<P> The thumbprint (hash value) for the CA certificate is: <B> {thumbprint} </B> "
    "<P> The enrollment challenge password is: <B> {password} </B> "
    "<P> This password can be used only once and will expire within {minutes} minutes. "
    "<P> Each enrollment requires a new challenge password: refresh this page for another one. </P>"
)
_FULL = "<P> The password cache is full. <P> Passwords that nobody used expire by themselves. </P>"
_FORBIDDEN = "<P> You do not have sufficient permission to enroll with SCEP. </P>"


def password_page(password: str, thumbprint: str, minutes: int) -> str:
    """Return the page with a password."""
    return _FOUND.format(password=password, thumbprint=thumbprint, minutes=minutes)


def full_page() -> str:
    """Return the page that says that too many passwords wait to be used."""
    return _FULL


def forbidden_page() -> str:
    """Return the page for an account without the right."""
    return _FORBIDDEN


def encoded(body: str, encoding: Encoding) -> tuple[str, bytes]:
    """Return Content-Type and octets of a page."""
    charset = "utf-16le" if encoding == "utf-16" else "utf-8"
    # The name without LE or BE is what browsers and Windows write for it.
    page = _HEAD.format(charset=encoding) + body + _TAIL
    return f"text/html; charset={encoding}", page.encode(charset)


def thumbprint(certificate: bytes, name: Literal["md5", "sha1", "sha256"]) -> str:
    """Return a hash of a certificate in groups of 8 hexadecimal digits."""
    digits = hashlib.new(name, certificate, usedforsecurity=False).hexdigest().upper()
    return " ".join(digits[at : at + GROUP] for at in range(0, len(digits), GROUP))
