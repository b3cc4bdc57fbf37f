"""AWS Signature Version 4 for S3, as Amazon's documentation of it describes.

Eighty lines of our own, beside an SDK of 15 MB that would make our connections for us.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_SERVICE = "s3"
EMPTY_HASH = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs."""

    access_key: str
    secret_key: str
    session_token: str | None = None


@dataclass(frozen=True, slots=True)
class ToSign:
    """A request; ``payload_hash`` is SHA-256 of its body in hex, ``url`` is percent-encoded."""

    method: str
    url: str
    headers: Mapping[str, str]
    payload_hash: str


def signed_headers(
    request: ToSign, credentials: Credentials, region: str, now: datetime
) -> dict[str, str]:
    """Return the headers of a request with those that sign it."""
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    scope = f"{now:%Y%m%d}/{region}/{_SERVICE}/aws4_request"
    headers = {
        **request.headers,
        "Host": urlsplit(request.url).netloc,
        "x-amz-date": stamp,
        "x-amz-content-sha256": request.payload_hash,
    }
    if credentials.session_token is not None:
        headers["x-amz-security-token"] = credentials.session_token
    names, canonical = _canonical(request, headers)
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = _mac(_signing_key(credentials, region, now), text).hex()
    headers["Authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope},"
        f" SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _canonical(request: ToSign, headers: Mapping[str, str]) -> tuple[str, str]:
    """Return the names of the signed headers, and the request in the form that is signed."""
    parts = urlsplit(request.url)
    query = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    lines = sorted((name.lower(), " ".join(value.split())) for name, value in headers.items())
    names = ";".join(name for name, _ in lines)
    rows = [
        request.method,
        parts.path or "/",
        "&".join(f"{name}={value}" for name, value in query),
        *(f"{name}:{value}" for name, value in lines),
        "",
        names,
        request.payload_hash,
    ]
    return names, "\n".join(rows)


def _signing_key(credentials: Credentials, region: str, now: datetime) -> bytes:
    key = f"AWS4{credentials.secret_key}".encode()
    for word in (f"{now:%Y%m%d}", region, _SERVICE, "aws4_request"):
        key = _mac(key, word)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
