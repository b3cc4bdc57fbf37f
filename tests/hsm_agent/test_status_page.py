"""The status page: for people at this host, read-only, without scripts."""

import http.client
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hsm_agent.faults import SettingsFault
from hsm_agent.status_page.page import page
from hsm_agent.status_page.server import StatusServer, is_loopback_host
from hsm_agent.status_page.style import STYLE

HASH = "9a13c0ffee" * 6 + "abcd"
STATUS = {
    "name": "vault-a",
    "software": "hsm-agent 1",
    "lines": [
        {
            "node": 1,
            "address": "pki-1.example:8444",
            "state": "up",
            "since": "2026-11-22T02:00:00Z",
            "ping_age": 212,
            "answered": 1482,
            "refused": 3,
            "fault": "",
        },
        {
            "node": 2,
            "address": "pki-2.example:8444",
            "state": "down",
            "since": "2026-11-22T02:00:00Z",
            "ping_age": None,
            "answered": 0,
            "refused": 0,
            "fault": "the server closed the line",
        },
    ],
    "stores": [
        {
            "name": "hsm",
            "kind": "pkcs11",
            "state": "ready",
            "free": ["any"],
            "key_types": ["ec-p256"],
            "details": {"model": "SoftHSM v2"},
        }
    ],
    "keys": [
        {
            "name": "trial/x",
            "key_type": "ed25519",
            "state": "ready",
            "trial": True,
            "certificate": None,
            "spki": f"sha256:{HASH}",
        }
    ],
    "policy": {
        "file": "/etc/policy.toml",
        "digest": f"sha256:{HASH}",
        "warnings": ["names are not restricted"],
    },
    "journal": {"lines": 4712, "head": HASH},
    "operations": [
        {
            "line": 4712,
            "at": "2026-11-22T02:33:11Z",
            "event": "refused",
            "why": "<script>alert(1)</script> & more",
        }
    ],
    "approvals": [
        {
            "id": HASH,
            "key": "hsm/root",
            "kind": "ca-cert",
            "since": "2026-11-22T02:30:00Z",
            "need": 2,
            "approved_by": ["alice"],
            "text": 'CN="><img src=x onerror=alert(1)>',
        }
    ],
}
EMPTY = {
    **{name: [] for name in ("lines", "stores", "keys", "operations", "approvals")},
    "name": "a",
    "software": "s",
    "policy": {"file": "p", "digest": "d", "warnings": []},
    "journal": {"lines": 0, "head": ""},
}


@pytest.fixture
def server():
    server = StatusServer(("127.0.0.1", 0), lambda: STATUS)
    yield server
    server.close()


def ask(server, path="/", method="GET", host=None):
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    try:
        headers = {} if host is None else {"Host": host}
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read().decode()
    finally:
        connection.close()


class Elements(HTMLParser):
    """Collects what a page is made of, and checks that what opens also closes."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.tags, self._open, self.attributes = [], [], []
        self.feed(text)
        assert [] == self._open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *one) for one in attributes]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert tag == self._open.pop()


def test_it_shows_lines_keys_stores_policy_journal_and_what_waits(server):
    """All of it, on one page."""
    answer, text = ask(server)

    assert 200 == answer.status
    for word in (
        *("vault-a", "pki-1.example:8444", "212 ms", "1482", "the server closed the line"),
        *("trial/x", "SoftHSM v2", "names are not restricted", "1 key is for trials"),
        *("4712", HASH, "/etc/policy.toml", "hsm/root", "1 of 2"),
    ):
        assert word in text


def test_no_octet_of_a_name_is_markup(server):
    """Names come from requests; whoever wrote them may want to run something here."""
    _, text = ask(server)

    assert "&lt;script&gt;" in text
    assert {"script", "img"}.isdisjoint(Elements(text).tags)


@given(some.text())
def test_a_page_is_whole_whatever_a_name_holds(text):
    """Every text is shown, none of it breaks the page."""
    policy = {**STATUS["policy"], "warnings": [text]}

    Elements(page({**STATUS, "name": text, "policy": policy}))


def test_an_agent_with_nothing_says_so():
    """No empty tables; a sentence that tells what is missing."""
    text = page(EMPTY)

    assert "There is no key yet." in text
    assert "Nothing waits." in text
    assert "table" not in Elements(text).tags


def test_its_headers_let_nothing_in(server):
    """No scripts, no frames, no forms, no other origin; nothing is kept by the browser."""
    answer, text = ask(server)

    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "no-store" == answer.headers["Cache-Control"]
    assert "nosniff" == answer.headers["X-Content-Type-Options"]
    assert not [one for one in Elements(text).attributes if one[1].startswith(("on", "style"))]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_there_is_nothing_to_change(server, method):
    """Every other method is unknown."""
    assert 501 == ask(server, method=method)[0].status


def test_head_and_the_style_sheet_work(server):
    """HEAD sends no content; the one other file is the style."""
    answer, body = ask(server, method="HEAD")
    _, style = ask(server, "/style.css")

    assert (200, "") == (answer.status, body)
    assert STYLE == style
    assert 404 == ask(server, "/other")[0].status
    assert 404 == ask(server, "/?x=1")[0].status


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "10.0.0.1", "127.0.0.1.x"])
def test_another_name_gets_nothing(server, host):
    """DNS rebinding: a page of somebody else's name would be read by that somebody."""
    answer, text = ask(server, host=host)

    assert 421 == answer.status
    assert "vault-a" not in text


@pytest.mark.parametrize("host", ["localhost", "localhost:8446", "127.0.0.1:1", "[::1]:1", "[::1]"])
def test_names_of_this_machine_are_served(host):
    """With and without a port."""
    assert is_loopback_host(host)


def test_an_address_that_is_taken_is_told(server):
    """One sentence that names the setting."""
    with pytest.raises(SettingsFault, match=r"\[status\] bind"):
        StatusServer(server.address, lambda: STATUS)


def test_states_are_told_by_more_than_colour():
    """A sign and a word; and both themes have a palette."""
    text = page(STATUS)

    assert re.search(r'class="good"><span aria-hidden="true">●</span> up', text)
    assert re.search(r'class="bad"><span aria-hidden="true">▲</span> down', text)
    assert "prefers-color-scheme: dark" in STYLE


def contrast(one, other):
    """Return the contrast of two colours (WCAG 2.2)."""

    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_all_colours_can_be_read_in_both_themes():
    """At least 4.5 to 1, on the ground and on what is raised."""
    palettes = [
        dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", block))
        for block in STYLE.split("prefers-color-scheme: dark")
    ]

    for palette in palettes:
        for colour in ("text", "soft", "link", "good", "bad"):
            assert contrast(palette[colour], palette["ground"]) >= 4.5
        for colour in ("text", "soft"):
            assert contrast(palette[colour], palette["raised"]) >= 4.5
        for colour in ("text", "mark"):
            assert contrast(palette[colour], palette["warning"]) >= 4.5
