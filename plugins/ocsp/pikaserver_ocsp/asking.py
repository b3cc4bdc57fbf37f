"""Asks a responder over HTTP (RFC 6960 appendix A)."""

import urllib.error
import urllib.request
from http.client import HTTPException

from pikaserver.api.errors import MalformedRequest, Unavailable
from pikaserver.asn1.ocsp import LIMIT_OCTETS

PATIENCE_SECONDS = 15


def ask(url: str, request: bytes) -> bytes:
    """Return what a responder answers to POST.

    Raises:
        MalformedRequest: the URL is none of HTTP, or the answer is too large.
        Unavailable: nobody answers there, or not with success.
    """
    if not url.startswith(("http://", "https://")):
        raise MalformedRequest(f"{url!a} is no URL of HTTP")
    posted = urllib.request.Request(  # noqa: S310 - the scheme is looked at above
        url, data=request, headers={"Content-Type": "application/ocsp-request"}, method="POST"
    )
    try:
        with urllib.request.urlopen(posted, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - see above
            octets: bytes = answer.read(LIMIT_OCTETS + 1)
    except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
        raise Unavailable(f"no answer from {url}: {error}") from error
    if len(octets) > LIMIT_OCTETS:
        raise MalformedRequest(f"the answer from {url} has more than {LIMIT_OCTETS} octets")
    return octets
