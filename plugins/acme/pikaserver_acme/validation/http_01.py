"""http-01 (RFC 8555 section 8.3, RFC 8738 section 4): a file under a name or an address."""

from contextlib import closing
from hmac import compare_digest

from pikaserver_acme.validation.attempt import Failed, printable
from pikaserver_acme.validation.http_exchange import BODY_LIMIT_OCTETS, Answer, get, tls_line
from pikaserver_acme.validation.lookout import Lookout
from pikaserver_acme.validation.question import Question
from pikaserver_acme.validation.redirects import STATUSES, Place, follow

WELL_KNOWN = "/.well-known/acme-challenge/"
FOUND = 200


def check(question: Question, lookout: Lookout) -> None:
    """Return when the file holds the key authorization.

    Raises:
        Failed: it does not, or cannot be reached.
    """
    limits, attempt = question.limits, lookout.attempt
    identifier = question.identifier_value
    ports = {"http": limits.http_port, "https": limits.https_port}
    first = place = Place("http", identifier, limits.http_port, WELL_KNOWN + question.token)
    seen = {place}
    for _ in range(limits.redirects + 1):
        answer = _fetch(place, lookout, redirected=place.authority != first.authority)
        attempt.note(f"got {answer.status} at {place.url}")
        if answer.status not in STATUSES:
            return _compare(answer, question.key_authorization, place)
        attempt.note(f"redirected to {answer.location}")
        place = follow(place, answer.location, ports, identifier)
        if place in seen:
            raise Failed("connection", f"a redirect to {place.url} again")
        seen.add(place)
    raise Failed("connection", f"more than {limits.redirects} redirects")


def _fetch(place: Place, lookout: Lookout, *, redirected: bool) -> Answer:
    with closing(lookout.connect(place.host, place.port, redirected=redirected)) as line:
        if place.scheme == "http":
            return get(line, place.authority, place.target, lookout.attempt)
        with closing(tls_line(line, place.host, lookout.attempt)) as secured:
            return get(secured, place.authority, place.target, lookout.attempt)


def _compare(answer: Answer, key_authorization: str, place: Place) -> None:
    if answer.status != FOUND:
        raise Failed("unauthorized", f"got {answer.status} at {place.url}, not 200")
    if len(answer.body) > BODY_LIMIT_OCTETS:
        raise Failed(
            "unauthorized", f"the file at {place.url} is too long to be a key authorization"
        )
    # "SHOULD ignore whitespace characters at the end of the body"
    body = answer.body.rstrip(b" \t\r\n\v\f")
    if not compare_digest(body, key_authorization.encode()):
        found = printable(body[:120].decode("latin-1"))
        why = f"the file at {place.url} holds {found!r}, another key authorization or none"
        raise Failed("unauthorized", why)
