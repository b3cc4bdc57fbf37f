"""http-01: what counts, and what is told when it does not."""

import ssl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pikaserver_acme.validation.attempt import Failed
from pikaserver_acme.validation.redirects import Place, follow
from tests.acme_validation.certificates import self_signed
from tests.acme_validation.exchanging import exchanged
from tests.acme_validation.raw_server import always, answer, by_path
from tests.acme_validation.tokens import KEY_AUTHORIZATION, PATH, TOKEN

BODY = KEY_AUTHORIZATION.encode()


@pytest.fixture
def web(dns, serve, ask):
    """Return a function: a server at www.example.org, and the question about it."""

    def make(say, **changes):
        dns.add("www.example.org", "A", "127.0.0.1")
        server = serve(say)
        limits = {"http_port": server.port, **changes.pop("limits", {})}
        return server, ask(limits=limits, **changes)

    return make


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n", b" \t\r\n\n"])
def test_the_file_counts_with_whatever_blanks_at_its_end(web, look, ending):
    """RFC 8555 section 8.3."""
    server, question = web(by_path({PATH: answer("200 OK", BODY + ending)}))

    verdict = look(question)

    assert verdict.valid
    assert (
        "resolved www.example.org to 127.0.0.1",
        f"connected to 127.0.0.1 port {server.port}",
        f"got 200 at http://www.example.org:{server.port}{PATH}",
        "succeeded",
    ) == verdict.log
    assert f"Host: www.example.org:{server.port}\r\n".encode() in server.heads[0]


def test_a_body_in_pieces_counts(web, look):
    """Chunked, as servers without a file on disk send it."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    _, question = web(always(chunked % (len(BODY), BODY)))

    assert look(question).valid


def test_an_address_is_validated_without_the_dns(web, look, dns):
    """RFC 8738: the Host field is the address."""
    server, question = web(
        by_path({PATH: answer("200 OK", BODY)}),
        identifier_type="ip",
        identifier_value="127.0.0.1",
    )

    assert look(question).valid
    assert f"Host: 127.0.0.1:{server.port}\r\n".encode() in server.heads[0]
    assert [] == dns.asked


@pytest.mark.parametrize(
    ("octets", "error", "told"),
    [
        (answer("404 Not Found"), "unauthorized", "got 404 at http://www.example.org"),
        (answer("200 OK", b"something else"), "unauthorized", "holds 'something else'"),
        (answer("200 OK", b" " + BODY), "unauthorized", "another key authorization"),
        (answer("200 OK", b"x" * 600), "unauthorized", "too long"),
        (answer("206 Partial", BODY), "unauthorized", "got 206"),
        (answer("200 OK", b"\x1b[31mred\x00"), "unauthorized", "?[31mred?"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "connection", "no whole HTTP answer"),
        (b"", "connection", "no whole HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx", "unauthorized", "holds 'x'"),
    ],
)
def test_anything_else_is_refused_and_the_client_is_told_what_was_seen(
    web, look, octets, error, told
):
    """Control codes of others never reach a terminal."""
    _, question = web(always(octets))

    verdict = look(question)

    assert error == verdict.error
    assert told in verdict.detail
    assert f"failed: {verdict.detail}" == verdict.log[-1]


def test_redirects_within_http_and_https_are_followed(web, look, serve, dns, tmp_path):
    """A certificate on the way is not looked at; the Host field follows the URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    dns.add("other.example.org", "A", "127.0.0.1")
    secured = serve(by_path({"/file?a=b": answer("200 OK", BODY)}), context)
    to = f"Location: https://other.example.org:{secured.port}/file?a=b#fragment"
    _, question = web(
        by_path(
            {PATH: answer("301 Moved", b"", "Location: /next"), "/next": answer("308 P", b"", to)}
        ),
        limits={"https_port": secured.port},
    )

    verdict = look(question)

    assert verdict.valid
    assert f"Host: other.example.org:{secured.port}\r\n".encode() in secured.heads[0]
    assert 2 == sum(line.startswith("redirected to") for line in verdict.log)


def test_redirects_end(web, look):
    """Neither a circle nor a long way is gone to its end."""
    circle = by_path({PATH: answer("302 Found", b"", f"Location: {PATH}")})
    _, question = web(circle)
    assert "again" in look(question).detail

    def say(line, head):
        number = int(head.split(b" ")[1].rpartition(b"/")[2].replace(TOKEN.encode(), b"0"))
        line.sendall(answer("302 Found", b"", f"Location: /{number + 1}"))

    server, question = web(say, limits={"redirects": 3})

    assert "more than 3 redirects" == look(question).detail
    assert 4 == server.connections


def test_wildcards_are_not_for_http(look, ask):
    """RFC 8555 section 7.1.3 leaves them to the DNS; RFC 9444 its names below, too."""
    for changes in ({"wildcard": True}, {"subdomains": True}):
        for kind in ("http-01", "tls-alpn-01"):
            assert "malformed" == look(ask(kind, **changes)).error


@given(st.binary(max_size=400))
@settings(max_examples=60)
def test_whatever_a_server_says_ends_in_a_verdict(octets):
    """No octets raise anything but `Failed`."""
    for head in (
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 302 Found\r\nTransfer-Encoding: chunked\r\n",
    ):
        try:
            exchanged(head + octets)
        except Failed:
            continue


@given(st.text(max_size=100) | st.from_regex(r"https?:/{0,3}[@:\[\]a-z0-9./%\\]*"))
def test_no_location_leads_elsewhere_than_its_scheme_and_port_say(location):
    """No text raises anything but `Failed`."""
    start = Place("http", "www.example.org", 80, "/a")
    try:
        place = follow(start, location, {"http": 80, "https": 443}, "www.example.org")
    except Failed:
        return
    assert place.port == {"http": 80, "https": 443}[place.scheme]
    assert all("!" <= one <= "~" for one in place.target)
    assert place.target.startswith("/")
