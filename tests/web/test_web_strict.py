"""Reading request heads and chunked bodies: pure octets."""

from contextlib import suppress
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.web.limits import HEADER_LIMIT_LINES
from pikaserver.web.strict import ChunkedBody, RequestRefused, read_head

HOST = b"\r\nHost: a.example"


def status_of(octets):
    """Return how a head is refused."""
    with pytest.raises(RequestRefused) as caught:
        read_head(octets)
    return caught.value.status


def test_a_plain_head_is_read():
    """Path decoded, target as it came, headers named as WSGI has them."""
    head = read_head(
        b"GET /a%2Fb?c=%20d HTTP/1.1\r\nHost: a.example:8080\r\nX-Two: 1\r\nX-Two: \t2 "
    )

    assert ("GET", "/a%2Fb?c=%20d", "/a/b", "c=%20d", "1.1") == (
        head.method,
        head.target,
        head.path,
        head.query,
        head.version,
    )
    assert head.headers == {"HOST": "a.example:8080", "X_TWO": "1, 2"}
    assert (0, False, False) == (head.content_length, head.chunked, head.expects_continue)


def test_http_1_0_needs_no_host():
    """RFC 9112 section 3.2 asks for it with HTTP/1.1 only."""
    assert read_head(b"GET / HTTP/1.0").headers == {}


def test_an_absolute_target_loses_its_host():
    """RFC 9112 section 3.2.2: servers accept it; the host must be the Host header's."""
    head = read_head(b"GET http://A.example?x=1 HTTP/1.1" + HOST)

    assert ("/?x=1", "/", "x=1") == (head.target, head.path, head.query)


def test_a_name_with_an_underscore_is_dropped():
    """WSGI could not tell it from the proxy's header."""
    head = read_head(b"GET / HTTP/1.1" + HOST + b"\r\nClient_Cert: x\r\nX-A: y")

    assert "CLIENT_CERT" not in head.headers
    assert head.headers["X_A"] == "y"


def test_connection_options_that_are_not_ours_are_dropped():
    """What remains is what the connection's end depends on."""
    assert (
        read_head(b"GET / HTTP/1.1" + HOST + b"\r\nConnection: TE, Close").headers["CONNECTION"]
        == "close"
    )
    assert (
        "CONNECTION"
        not in read_head(
            b"GET / HTTP/1.1" + HOST + b"\r\nConnection: Upgrade, HTTP2-Settings"
        ).headers
    )


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"GET /",
        b"GET / HTTP/1.1",
        b"get / HTTP/1.1" + HOST,
        b"GET  / HTTP/1.1" + HOST,
        b"GET / / HTTP/1.1" + HOST,
        b"GET / http/1.1" + HOST,
        b" GET / HTTP/1.1" + HOST,
        b"GET /\t HTTP/1.1" + HOST,
        b"GET /\xc3\xbc HTTP/1.1" + HOST,
        b"GET /\x00 HTTP/1.1" + HOST,
        b"GET /%00 HTTP/1.1" + HOST,
        b"GET /%0d%0aX: HTTP/1.1" + HOST,
        b"GET /%zz HTTP/1.1" + HOST,
        b"GET /#x HTTP/1.1" + HOST,
        b"GET x HTTP/1.1" + HOST,
        b"GET * HTTP/1.1" + HOST,
        b"CONNECT a.example:80 HTTP/1.1" + HOST,
        b"GET http://b.example/ HTTP/1.1" + HOST,
        b"GET ftp://a.example/ HTTP/1.1" + HOST,
        b"GET / HTTP/1.1\r\nHost:",
        b"GET / HTTP/1.1\r\nHost: a, b",
        b"GET / HTTP/1.1\r\nHost: a b",
        b"GET / HTTP/1.1\r\nHost: a/b",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a",
        b"GET / HTTP/1.1\r\nHost: a\r\nhost: b",
        b"GET / HTTP/1.1\r\nHost : a",
        b"GET / HTTP/1.1\r\n Host: a",
        b"GET / HTTP/1.1" + HOST + b"\r\n folded: x",
        b"GET / HTTP/1.1" + HOST + b"\r\nX: a\r\n\tb",
        b"GET / HTTP/1.1" + HOST + b"\r\nX: a\nY: b",
        b"GET / HTTP/1.1" + HOST + b"\r\nX: a\rY: b",
        b"GET / HTTP/1.1" + HOST + b"\nX: a",
        b"GET / HTTP/1.1" + HOST + b"\r\nX: a\x00b",
        b"GET / HTTP/1.1" + HOST + b"\r\nX: a\x7fb",
        b"GET / HTTP/1.1" + HOST + b"\r\nX",
        b"GET / HTTP/1.1" + HOST + b"\r\n: x",
        b"GET / HTTP/1.1" + HOST + b"\r\nX(: x",
        b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"POST / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: chunked\r\nContent-Length: 0",
        b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: 1\r\nContent-Length: 1",
        b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: 1\r\ncontent-length: 2",
        b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: 1, 1",
        b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: +1",
        b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: -1",
        b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: 0x1",
        b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: 1_0",
        b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: \xb2",
        b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length:",
        b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: 9999999999999999999999",
        b"POST / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding:",
        b"POST / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: identity",
        b"POST / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: gzip, chunked",
        b"POST / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: chunked, chunked",
        b"POST / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: \x0bchunked",
        b"POST / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked",
        b"GET / HTTP/1.1" + HOST + b"\r\nAuthorization: a\r\nAuthorization: b",
    ],
)
def test_what_two_servers_could_read_differently_is_refused(octets):
    """RFC 9112 section 11: 400, whatever the application would make of it."""
    assert status_of(octets) is HTTPStatus.BAD_REQUEST


def test_what_http_has_a_word_for_gets_that_word():
    """417, 431 and 505 instead of 400."""
    many = b"\r\nX: y" * HEADER_LIMIT_LINES

    assert status_of(b"GET / HTTP/2.0" + HOST) is HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
    assert status_of(b"GET / HTTP/1.1" + HOST + b"\r\nExpect: tea") is HTTPStatus.EXPECTATION_FAILED
    assert status_of(b"GET / HTTP/1.1" + HOST + many) is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


@given(st.binary(max_size=200))
def test_no_octets_raise_anything_but_a_refusal(octets):
    """Whatever comes, it is read or refused."""
    for head in (octets, b"GET / HTTP/1.1" + HOST + b"\r\n" + octets):
        with suppress(RequestRefused):
            read_head(head)


@given(
    st.text("abcdefghij/-._~", max_size=30),
    st.dictionaries(
        st.from_regex(r"X-[A-Za-z]{1,8}", fullmatch=True),
        st.from_regex(r"[!-~]([ -~]*[!-~])?", fullmatch=True),
        max_size=5,
    ),
)
def test_what_is_written_is_read_again(path, headers):
    """A head of legal parts keeps them."""
    lines = [f"GET /{path} HTTP/1.1", "Host: a.example"]
    lines += [f"{name}: {value}" for name, value in headers.items()]

    head = read_head("\r\n".join(lines).encode())

    assert head.path == f"/{path}"
    for name, value in headers.items():
        values = [v for n, v in headers.items() if n.upper() == name.upper()]
        assert head.headers[name.upper().replace("-", "_")] == ", ".join(values)
        assert value in head.headers[name.upper().replace("-", "_")]


class Chunks:
    """Reads a chunked body in pieces."""

    def __init__(self, *pieces):
        self.content = b""
        self.used = 0
        self.body = ChunkedBody(self.keep)
        for piece in pieces:
            self.used += self.body.received(piece)

    def keep(self, piece):
        """Keep the content."""
        self.content += piece


def test_a_chunked_body_ends_where_it_says():
    """What follows belongs to the next request."""
    chunks = Chunks(b"3\r\nabc\r\n0a\r\n0123456789\r\n0\r\n\r\nGET /")

    assert chunks.body.complete
    assert chunks.content == b"abc0123456789"
    assert chunks.used == len(b"3\r\nabc\r\n0a\r\n0123456789\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "octets",
    [
        b"3;ext=1\r\nabc\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"\r\n3\r\nabc\r\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nabcx0\r\n\r\n",
        b"000000003\r\nabc\r\n0\r\n\r\n",
        b"0" * 11,
        b"0\r\nTrailer: x\r\n\r\n",
    ],
)
def test_chunks_that_could_be_read_differently_are_refused(octets):
    """No extensions, no trailers, no bare line feed, no more octets than said."""
    with pytest.raises(RequestRefused):
        Chunks(octets)
    with pytest.raises(RequestRefused):
        Chunks(*(bytes([octet]) for octet in octets))


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(1, 50))
def test_a_chunked_body_is_the_same_however_it_is_cut(pieces, cut):
    """TCP cuts where it likes."""
    octets = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"

    chunks = Chunks(*(octets[i : i + cut] for i in range(0, len(octets), cut)))

    assert chunks.body.complete
    assert chunks.content == b"".join(pieces)


@given(st.binary(max_size=100))
def test_no_chunks_raise_anything_but_a_refusal(octets):
    """Whatever comes, it is read or refused."""
    with suppress(RequestRefused):
        assert Chunks(octets).used <= len(octets)
