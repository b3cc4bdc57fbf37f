"""HTTP Basic: read in any case, of any length that is allowed, or refused."""

import base64
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest, NotAuthenticated
from pikaserver.testing.fake_server import FakeServer
from pikaserver.web.authentication import (
    read_basic,
)
from tests.web.asking import basic, request


@pytest.fixture
def server():
    made = FakeServer()
    made.codes.add("4711", "sesame", "device", made.clock() + timedelta(days=1))
    return made


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:x").decode(),
        "Basic " + base64.b64encode(b"a:b\nc").decode(),
        "Basic " + base64.b64encode(b"a\x7f:b").decode(),
        "Basic " + base64.b64encode(b"a:" + b"x" * 1024).decode(),
    ],
)
def test_a_malformed_header_is_refused(server, header):
    """RFC 7617 section 2; a refusal, not a crash."""
    with pytest.raises(MalformedRequest):
        read_basic(header)
    with pytest.raises(NotAuthenticated):
        server.authenticate(request(authorization=header))


def test_the_longest_header_is_read():
    """The limit is 1 KiB, and 1 KiB is within it."""
    password = "x" * (3 * 254 - 2)
    header = basic("a", password)

    assert 1022 == len(header)
    assert ("a", password) == read_basic(header)


@pytest.mark.parametrize("header", [None, "", "Bearer abc", "Digest x", "Basically YTpi"])
def test_another_scheme_is_not_ours(header):
    """Another authenticator may know it."""
    assert None is read_basic(header)


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "Basic "])
def test_the_scheme_is_read_in_any_case(scheme):
    """RFC 9110 section 11.1."""
    assert ("a", "b:c") == read_basic(f"{scheme} YTpiOmM=")


readable = st.characters(exclude_categories=("Cs", "Cc"))


@given(st.text(readable.filter(lambda c: c != ":"), max_size=50), st.text(readable, max_size=50))
def test_what_is_sent_is_read_again(user, password):
    """Any user without a colon and any password survive the way."""
    assert (user, password) == read_basic(basic(user, password))


@given(st.text(max_size=2000) | st.binary(max_size=900).map(lambda b: base64.b64encode(b).decode()))
def test_no_header_raises_anything_else(text):
    """Whatever stands in the header, it is read or malformed."""
    for header in (text, f"Basic {text}"):
        try:
            read = read_basic(header)
        except MalformedRequest:
            continue
        assert read is None or ":" not in read[0]
