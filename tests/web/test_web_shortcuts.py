"""Answers past the application: quick, in order, as whole as any other."""

import logging
import threading

import pytest

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.web import ReadyAnswer, Route, Security, Service
from pikaserver.clock import system_clock
from pikaserver.web.shortcuts import Shortcuts

GET = b"GET /door/%s HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /door/%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Way:
    """Answers ``/door/hand`` at hand, it and ``/door/work`` in a thread, and nothing else."""

    path = "/door"

    def __init__(self):
        self.threads = {}
        self.requests = []
        self.body = b"quick"
        self.headers = (("etag", '"x"'), ("cache-control", "max-age=5"))

    def at_hand(self, request):
        """See the protocol."""
        return self._answer(request, "hand")

    def answer(self, request):
        """See the protocol."""
        return self._answer(request, "hand", "work")

    def _answer(self, request, *words):
        if request.path.endswith("broken"):
            raise ValueError("it is broken")
        if not request.path.endswith(words):
            return None
        self.requests.append(request)
        self.threads[request.path[-4:]] = threading.current_thread().name
        return ReadyAnswer("text/plain", self.body, self.headers)


class Resource:
    """The routes behind it."""

    def on_get(self, _request, response, x=""):
        """Answer."""
        response.text = f"routed {x}"

    on_put = on_get

    def on_post(self, request, response, x=""):
        """Answer the body."""
        response.data = b"routed " + request.bounded_stream.read()


@pytest.fixture
def way():
    return Way()


@pytest.fixture
def running(house, way):
    """Give a listener whose only service has a shortcut."""
    resource = Resource()
    routes = [
        Route("/door", resource),
        Route("/door/{x:path}", resource),
        Route("/doors", resource),
    ]
    service = Service("door", Security.PLAIN, routes, body_limit_octets=100, shortcut=way)
    return house.start(services=[service])


def parts(octets):
    """Return status line, headers and body of one answer."""
    head, _, body = octets.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, {line.partition(": ")[0]: line.partition(": ")[2] for line in lines}, body


@pytest.mark.parametrize(("word", "thread"), [("hand", "test-loop"), ("work", "test-")])
def test_an_answer_looks_like_any_other(running, way, word, thread):
    """With date, length, and the headers that every answer has."""
    first, headers, body = parts(running.send(GET % word.encode() + LAST % b"x"))

    assert "HTTP/1.1 200 OK" == first
    assert body.startswith(b"quick")
    assert {
        "Content-Type": "text/plain",
        "Content-Length": "5",
        "Etag": '"x"',
        "Cache-Control": "max-age=5",
        "Server": "pikaserver",
        "X-Content-Type-Options": "nosniff",
    }.items() <= headers.items()
    assert headers["Date"].endswith(" GMT")
    assert way.threads[word].startswith(thread)
    assert ("work" == word) == (way.threads[word] != "test-loop")


def test_it_is_shown_the_whole_request(running, way):
    """Method, decoded path, headers, body, and who asks."""
    head = b"POST /door/%2Fa//hand?q HTTP/1.1\r\nHost: a\r\nX-Y: z\r\nContent-Length: 4\r\n\r\nbody"
    running.send(head + LAST % b"x")

    (request,) = way.requests
    assert ("POST", "/door//a//hand", b"body") == (request.method, request.path, request.body)
    assert "z" == request.headers["X_Y"]
    assert ("test", "127.0.0.1") == (request.client.listener, request.client.address)


def test_what_it_leaves_goes_through_the_routes(running):
    """Also what it has no business with: other methods, other paths."""
    octets = running.send(
        GET % b"else"
        + GET.replace(b"/door/%s", b"/doors")
        + GET.replace(b"GET", b"PUT") % b"hand"
        + LAST.replace(b"GET", b"HEAD") % b"hand"
    )

    assert 4 == octets.count(b"200 OK")
    assert 3 == octets.count(b"routed")
    assert b"quick" not in octets


def test_a_body_that_is_too_large_is_not_shown(running, way):
    """The routes say so."""
    octets = running.send(
        b"POST /door/hand HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\nConnection: close\r\n\r\n"
        + bytes(101)
    )

    assert b"413 " in octets
    assert [] == way.requests


def test_a_broken_shortcut_is_told_and_passed_over(running, caplog):
    """Nobody waits for an answer in vain."""
    with caplog.at_level(logging.ERROR):
        octets = running.send(LAST % b"broken")

    assert b"routed broken" in octets
    assert [one for one in caplog.records if "shortcut failed" == one.message and one.exc_info]


def test_a_header_of_two_lines_never_leaves(running, way):
    """The routes answer instead."""
    way.headers = (("etag", "x\r\nSet-Cookie: y"),)

    octets = running.send(GET % b"hand" + LAST % b"work")

    assert b"Set-Cookie" not in octets
    assert 2 == octets.count(b"routed")


def test_answers_stay_in_the_order_of_their_requests(running):
    """Though some take longer, and all came in one piece."""
    words = [b"hand", b"else", b"hand", b"work", b"hand", b"hand", b"else"]

    octets = running.send(b"".join(GET % word for word in words) + LAST % b"hand")

    bodies = [part[:6].rstrip() for part in octets.split(b"\r\n\r\n")[1:]]
    assert [b"routed" if word == b"else" else b"quickH" for word in words] == bodies[:-1]
    assert b"quick" == bodies[-1]


@pytest.mark.parametrize("word", [b"hand", b"work"])
@pytest.mark.parametrize(
    ("version", "said", "answered", "stays"),
    [
        (b"1.1", b"", None, True),
        (b"1.1", b"Connection: close\r\n", "close", False),
        (b"1.0", b"", "close", False),
        (b"1.0", b"Connection: keep-alive\r\n", "Keep-Alive", True),
    ],
)
def test_connections_stay_or_end_as_was_agreed(running, word, version, said, answered, stays):
    """RFC 9112 section 9.3."""
    with running.connect() as connection:
        connection.sendall(b"GET /door/%s HTTP/%s\r\nHost: a\r\n%s\r\n" % (word, version, said))
        octets = b""
        while not octets.endswith(b"quick"):
            octets += connection.recv(4096)
        _, headers, _ = parts(octets)
        assert answered == headers.get("Connection")
        if stays:
            connection.sendall(LAST % b"hand")
            assert running.read_all(connection).endswith(b"quick")
        else:
            assert b"" == connection.recv(1)


@pytest.mark.parametrize("word", [b"hand", b"work"])
def test_a_large_answer_is_sent_as_a_whole(running, way, word):
    """What the socket does not take at once waits until the client reads."""
    way.body = bytes(range(256)) * 40_000
    with running.connect() as connection:
        connection.sendall(GET % word + LAST % b"hand")

        octets = running.read_all(connection)

    assert 2 == octets.count(b"HTTP/1.1 200 OK")
    assert 2 == octets.count(way.body)


@pytest.mark.parametrize("word", [b"hand", b"work"])
def test_it_works_over_tls(house, way, tls, shake, word):
    """Pieces of a record's size, in order."""
    way.body = b"q" * 50_000
    routes = [Route("/door/{x}", Resource())]
    service = Service("door", Security.PLAIN, routes, shortcut=way)
    connection = shake(house.start(services=[service], tls=tls))

    connection.sendall(GET % word + LAST % word)
    octets = b""
    while piece := connection.recv(65536):
        octets += piece

    assert 2 == octets.count(way.body)


def test_many_clients_are_answered(running):
    """Each its own, from several threads."""
    broken = []

    def client():
        with running.connect() as connection:
            for word in (b"hand", b"work", b"else") * 20:
                connection.sendall(GET % word)
                octets = connection.recv(65536)
                if (b"routed" if word == b"else" else b"quick") not in octets:
                    broken.append(octets)

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == broken


@pytest.mark.parametrize("path", ["", "/", "door", "/door/x"])
def test_a_shortcut_has_one_segment_of_path(way, path):
    """It is found by that."""
    way.path = path

    with pytest.raises(ConfigurationError, match="one segment"):
        Shortcuts([Service("door", Security.PLAIN, [], shortcut=way)], system_clock)


def test_a_service_that_needs_tls_has_no_shortcut(way):
    """The boundary would not look whether the line is protected."""
    with pytest.raises(ConfigurationError, match="TLS"):
        Shortcuts([Service("door", Security.TLS, [], shortcut=way)], system_clock)
