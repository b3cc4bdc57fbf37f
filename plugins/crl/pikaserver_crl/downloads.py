"""One way to answer a file over HTTP: validators, caching, nothing sent twice (RFC 9110)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import falcon

from pikaserver_crl.forward_file import ForwardFile


@dataclass(frozen=True, slots=True)
class Download:
    """A file; ``tag`` changes when its octets do, ``max_age`` is in seconds.

    It is read as it is sent: a large CRL is never in memory as a whole.
    """

    pieces: Callable[[], Iterator[bytes]]
    size: int
    content_type: str
    tag: str
    modified: datetime
    max_age: int


def answer(request: falcon.Request, response: falcon.Response, download: Download) -> None:
    """Answer the file, or 304 when the client has it (RFC 9110 section 13.2.2)."""
    response.etag = download.tag
    response.last_modified = download.modified
    response.cache_control = ["public", f"max-age={download.max_age}"]
    if _has_it(request, download):
        response.status = falcon.HTTP_NOT_MODIFIED
        return
    response.content_type = download.content_type
    response.set_stream(ForwardFile(download.pieces(), download.size), download.size)


def _has_it(request: falcon.Request, download: Download) -> bool:
    # With If-None-Match the date does not count; for GET the comparison is the weak one.
    if request.if_none_match is not None:
        return any(str(tag) in ("*", download.tag) for tag in request.if_none_match)
    try:
        since = request.if_modified_since
    except falcon.HTTPInvalidHeader:
        return False  # RFC 9110 section 13.1.3: a date that cannot be read is passed over.
    return since is not None and download.modified.replace(microsecond=0) <= since
