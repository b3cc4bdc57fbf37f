"""Routing, errors, request ids and headers of the application, without a socket."""

import itertools
import logging
from http import HTTPStatus

import falcon
import pytest
from falcon.testing import TestClient

from pikaserver.api.errors import (
    ConfigurationError,
    Conflict,
    Decision,
    KeyUnavailable,
    MalformedRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RequestRejected,
    SignatureFaulty,
    TooLarge,
    TooManyRequests,
    Unavailable,
)
from pikaserver.api.web import (
    CONNECTION_KEY,
    ClientConnection,
    Route,
    Security,
    Service,
    TlsSession,
)
from pikaserver.web.application import build_application

PROBLEM = "application/problem+json"
PROTECTED = ClientConnection("devices", "192.0.2.1", TlsSession("TLSv1.3", "any", None))


class Door:
    """Raises what it is told to, else answers a few octets."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked = 0

    def on_get(self, request, response, **fields):
        """Answer, or fail after having set headers."""
        self.asked += 1
        response.content_type = "text/plain"
        response.set_header("etag", '"1"')
        response.set_header("cache-control", "max-age=60")
        if self.error is not None:
            raise self.error
        response.text = "hello"

    def on_post(self, request, response, **fields):
        """Send the body back."""
        self.asked += 1
        response.data = request.bounded_stream.read()


def counted_entropy():
    numbers = itertools.count(1)
    return lambda octets: next(numbers).to_bytes(octets, "big")


def client(*services: Service) -> TestClient:
    return TestClient(build_application(services, entropy=counted_entropy()))


def service(resource, path="/door", name="crl", security=Security.PLAIN, **more) -> Service:
    return Service(name, security, [Route(path, resource)], **more)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (MalformedRequest("no"), 400, "malformed-request"),
        (NotAuthenticated("no"), 401, "not-authenticated"),
        (NotAllowed("no"), 403, "not-allowed"),
        (NotFound("no"), 404, "not-found"),
        (Conflict("no"), 409, "conflict"),
        (TooLarge("no"), 413, "too-large"),
        (RequestRejected("no"), 422, "request-rejected"),
        (TooManyRequests("no", 7), 429, "too-many-requests"),
        (Unavailable("no", 7), 503, "unavailable"),
        (KeyUnavailable("no", 7), 503, "unavailable"),
    ],
)
def test_an_error_of_the_family_becomes_a_problem(error, status, kind):
    """RFC 9457: type, title, status, detail and the request's id."""
    answer = client(service(Door(error))).simulate_get("/door")

    assert status == answer.status_code
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json == {
        "type": f"urn:pikaserver:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": "no",
        "instance": "urn:pikaserver:request:000000000000000000000001",
        "request_id": "000000000000000000000001",
    }
    assert answer.headers["x-request-id"] == answer.json["request_id"]
    assert answer.headers.get("retry-after") == ("7" if status in {429, 503} else None)


def test_a_rejected_request_shows_its_decision_trace():
    """Rule by rule: asked, decided, why."""
    trace = [Decision("names", "dns:a.example", allowed=False, why="not under b.example")]

    answer = client(service(Door(RequestRejected("refused", trace)))).simulate_get("/door")

    assert answer.json["trace"] == [
        {
            "rule": "names",
            "asked": "dns:a.example",
            "allowed": False,
            "why": "not under b.example",
        }
    ]


@pytest.mark.parametrize("error", [RuntimeError("secret-4711"), SignatureFaulty("secret-4711")])
def test_a_fault_of_ours_is_logged_and_never_shown(error, caplog):
    """500 with the request's id; the traceback stands in the log only."""
    answer = client(service(Door(error))).simulate_get("/door")

    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json["request_id"] == "000000000000000000000001"
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.exc_info[1] is error
    assert record.request_id == "000000000000000000000001"


def test_a_service_answers_errors_in_its_own_words():
    """EST says it in text, whatever HTTP's default is; Retry-After stays."""

    def answer_error(_request, response, error):
        response.status = falcon.HTTP_503
        response.content_type = "text/plain"
        response.text = f"sorry: {error}"

    door = service(Door(Unavailable("later", 9)), answer_error=answer_error)

    answer = client(door).simulate_get("/door")

    assert (503, "sorry: later", "9") == (
        answer.status_code,
        answer.text,
        answer.headers["retry-after"],
    )


def test_an_error_in_the_words_of_errors_is_a_plain_500(caplog):
    """A plugin's faulty ``answer_error`` does not take the request boundary down."""

    def answer_error(_request, _response, _error):
        raise ValueError("faulty plugin")

    answer = client(service(Door(NotFound("x")), answer_error=answer_error)).simulate_get("/door")

    assert answer.status_code == 500
    assert "faulty plugin" not in answer.text
    assert "faulty plugin" in caplog.text


def test_a_service_may_leave_an_error_to_http():
    """A time-stamping authority does so for those who do not speak its protocol."""

    def answer_error(_request, _response, error):
        raise error

    answer = client(service(Door(NotFound("x")), answer_error=answer_error)).simulate_get("/door")

    assert (404, "x") == (answer.status_code, answer.json["detail"])


def test_headers_of_success_do_not_survive_an_error():
    """What the resource said about caching was about its success."""
    answer = client(service(Door(NotFound("x")))).simulate_get("/door")

    assert "etag" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"


def test_falcons_own_errors_are_problems_too():
    """404, 405 and the like, with the request's id."""
    browser = client(service(Door()))

    missing = browser.simulate_get("/nowhere")
    method = browser.simulate_delete("/door")

    assert [(404, PROBLEM), (405, PROBLEM)] == [
        (a.status_code, a.headers["content-type"]) for a in (missing, method)
    ]
    assert missing.json["type"] == "about:blank"
    assert missing.json["request_id"] == missing.headers["x-request-id"]
    assert method.headers["allow"] == "GET, HEAD, POST, OPTIONS"


def test_head_answers_as_get_does_without_the_body():
    """RFC 9110 section 9.3.2."""
    browser = client(service(Door()))

    answer = browser.simulate_head("/door")

    assert (200, "5", b"") == (
        answer.status_code,
        answer.headers["content-length"],
        answer.content,
    )


def test_options_tells_the_methods():
    """RFC 9110 section 9.3.7."""
    answer = client(service(Door())).simulate_options("/door")

    assert (200, "GET, HEAD, POST") == (answer.status_code, answer.headers["allow"])


def test_security_headers_are_there_unless_the_resource_says_otherwise():
    """A resource's own Cache-Control stays."""
    answer = client(service(Door())).simulate_get("/door")

    assert answer.headers["cache-control"] == "max-age=60"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_body_at_the_limit_is_taken_and_one_octet_more_is_not():
    """`TooLarge` goes through the service's own words; the resource is not asked."""
    door = Door()
    browser = client(service(door, body_limit_octets=100))

    taken = browser.simulate_post("/door", body=b"x" * 100)
    refused = browser.simulate_post("/door", body=b"x" * 101)

    assert (200, 413) == (taken.status_code, refused.status_code)
    assert door.asked == 1


@pytest.mark.parametrize("connection", [None, ClientConnection("public", "192.0.2.1", None)])
def test_a_service_that_needs_tls_refuses_a_plain_line(connection):
    """Credentials never travel in clear, whatever a listener was told to serve."""
    door = Door()
    browser = client(service(door, security=Security.TLS))

    plain = browser.simulate_get("/door", extras={CONNECTION_KEY: connection})
    protected = browser.simulate_get("/door", extras={CONNECTION_KEY: PROTECTED})

    assert (403, 200, 1) == (plain.status_code, protected.status_code, door.asked)


def test_two_services_of_one_name_stop_the_start():
    """The sentence names it."""
    with pytest.raises(ConfigurationError, match="two services are called 'crl'"):
        client(service(Door()), service(Door(), path="/other"))


@pytest.mark.parametrize(
    ("first", "second"),
    [("/a", "/a"), ("/a/{x}", "/a/{y}"), ("/a/{x}/b", "/a/{y}/c")],
)
def test_two_services_at_one_path_stop_the_start(first, second):
    """The sentence names both."""
    with pytest.raises(ConfigurationError) as caught:
        client(service(Door(), path=first), service(Door(), path=second, name="est"))

    assert "'crl'" in str(caught.value)
    assert "'est'" in str(caught.value)


def test_each_request_leaves_one_line_with_its_fields(caplog):
    """The route, not the path: what a client wrote stays out of the log."""
    caplog.set_level(logging.INFO)

    client(service(Door(NotFound("gone")), path="/a/{x}")).simulate_get("/a/evil")

    [record] = [r for r in caplog.records if getattr(r, "event", None) == "request"]
    assert ("crl", "GET", "/a/{x}", 404, "NotFound: gone") == (
        record.service,
        record.method,
        record.route,
        record.status,
        record.why,
    )
    assert record.duration_ms >= 0
