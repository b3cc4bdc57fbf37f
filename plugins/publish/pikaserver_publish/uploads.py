"""Files sent over HTTP: streamed, and answers that say whether they are stored."""

from collections.abc import Mapping

from pikaserver.api.errors import RequestRejected, Unavailable
from pikaserver.api.outgoing import Answer, Exchange, HttpClient, Route
from pikaserver_publish.contents import Content
from pikaserver_publish.settings import TlsSettings

PATIENCE = 20
"""So many times the time in which nothing may happen is the time of a whole exchange."""

_ANSWER_LIMIT_OCTETS = 64 * 1024
_SHOWN = 200
_AGAIN = {408, 425, 429}


def http_client(tls: TlsSettings, timeout_seconds: float) -> HttpClient:
    """Return a client whose waits end, and whose exchanges may be long."""
    return HttpClient(
        Route(
            timeout_seconds=timeout_seconds,
            exchange_seconds=timeout_seconds * PATIENCE,
            answer_limit_octets=_ANSWER_LIMIT_OCTETS,
            trust=tls.trust,
        )
    )


def request(method: str, url: str, headers: Mapping[str, str], content: Content | None) -> Exchange:
    """Return a request that streams a content, if there is one."""
    if content is None:
        return Exchange(method, url, headers)
    about = {"Content-Length": str(content.size), "Content-Type": content.content_type}
    return Exchange(method, url, {**headers, **about}, content.pieces())


def check_stored(answer: Answer, what: str) -> None:
    """Return when an answer says that all is well.

    Raises:
        Unavailable: the target cannot do it now, or does not know us.
        RequestRejected: it does not take this one.
    """
    if answer.ok:
        return
    text = answer.body.decode("utf-8", "replace")
    shown = "".join(c if c.isprintable() else " " for c in text)[:_SHOWN].strip()
    place = f" to {answer.headers['location']}" if "location" in answer.headers else ""
    why = f"{what}: {answer.status} {answer.reason}{place} {shown}".strip()
    if answer.status >= 500 or answer.status in _AGAIN or answer.status == 401:  # noqa: PLR2004 - as RFC 9110 counts
        raise Unavailable(why)
    raise RequestRejected(why)
