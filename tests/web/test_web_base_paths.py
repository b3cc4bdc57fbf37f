"""Services to which everything below a path belongs, and what they say of it."""

import json

import falcon
import pytest
from falcon.testing import TestClient

from pikaserver.api.errors import HttpRefused, PikaserverError
from pikaserver.api.web import Route, Security, Service
from pikaserver.testing.clock import CountedEntropy
from pikaserver.web.application import build_application


class Door:
    """Fails as nobody foresaw."""

    def on_get(self, request, response, **_fields):
        """Fail with what must not be shown."""
        raise ZeroDivisionError("a secret of the house")

    def on_put(self, request, response, **_fields):
        """Let Falcon refuse a parameter."""
        request.get_param_as_int("number", required=True)


def own_words(_request, response, error):
    """Say what came, in words of its own."""
    status = error.status if isinstance(error, HttpRefused) else 500
    response.status = falcon.code_to_http_status(status)
    response.data = json.dumps([type(error).__name__, str(error)]).encode()


@pytest.fixture
def client():
    """Give a service below ``/own``, and one that leaves all of that to HTTP."""
    based = Service(
        "own", Security.PLAIN, [Route("/own/{name}/door", Door())], own_words, base_path="/own"
    )
    plain = Service("plain", Security.PLAIN, [Route("/plain/door", Door())], own_words)
    return TestClient(build_application([based, plain], entropy=CountedEntropy()))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/own/x/nothing", 404),
        ("GET", "/own/", 404),
        ("DELETE", "/own/x/door", 405),
        ("PUT", "/own/x/door?number=x", 400),
        ("PUT", "/own/x/door", 400),
    ],
)
def test_what_http_refuses_below_it_is_told_by_the_service(client, method, path, status):
    """Its clients understand one kind of error only."""
    answer = client.simulate_request(method, path)

    assert status == answer.status_code
    assert "HttpRefused" == answer.json[0]
    assert ("GET" in answer.headers.get("allow", "")) == (status == 405)


@pytest.mark.parametrize("path", ["/plain/nothing", "/nothing", "/owner/x"])
def test_what_is_elsewhere_stays_a_problem(client, path):
    """A path that only begins alike is nobody's."""
    answer = client.simulate_get(path)

    assert (404, "about:blank") == (answer.status_code, answer.json["type"])


@pytest.mark.parametrize("path", ["/own/x/door", "/plain/door"])
def test_what_nobody_foresaw_is_told_by_the_service_without_a_reason(client, path, caplog):
    """The traceback is in the log, under the request's id."""
    answer = client.simulate_get(path)

    assert 500 == answer.status_code
    assert [PikaserverError.__name__, "something went wrong here"] == answer.json
    assert "secret" not in answer.text
    assert any(one.exc_info for one in caplog.records)
