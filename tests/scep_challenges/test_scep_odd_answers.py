"""Whatever a service elsewhere answers: the device waits or is refused, and nothing breaks."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import ConfigurationError, RequestRejected, Unavailable
from pikaserver.api.outgoing import Answer, Trust, read_secret, tls_context
from pikaserver.testing.fake_server import FakeServer
from pikaserver_scep.challenges.intune.revoking import Revocations
from pikaserver_scep.challenges.intune.service import _places, _token_of
from pikaserver_scep.challenges.intune.validation import Validation

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner),
    max_leaves=12,
)
WORDS = ["code", "errorDescription", "value", "requestContext", "serialNumber", "access_token"]
WORDS += ["expires_in", "providerName", "uri"]
OBJECTS = st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), JSON, max_size=5)


class Stub:
    """A service with one answer."""

    def __init__(self, answer):
        self.answer = answer

    def post(self, *_):
        return self.answer


@given(octets=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_body_is_an_object_or_not_the_service_that_we_know(octets):
    """Nothing but `Unavailable` is raised."""
    with suppress(Unavailable):
        assert isinstance(Answer(200, octets).json(), dict)


@given(fields=OBJECTS)
def test_a_token_is_one_or_none(fields):
    """Its lifetime is a number of seconds, or it is asked for again soon."""
    with suppress(Unavailable):
        token, seconds = _token_of(Answer(200, json.dumps(fields).encode()))
        assert token.isprintable()
        assert 0 <= seconds <= 86_400


@given(value=st.lists(OBJECTS) | JSON)
def test_places_are_over_tls_or_left_out(value):
    """Whatever Microsoft Graph lists."""
    assert all(place.startswith("https://") for place in _places(value).values())


@given(fields=OBJECTS)
def test_a_validation_is_a_success_by_that_word_only(fields):
    """Anything else is a refusal, or not the service that we know."""
    validation = Validation(Stub(fields))

    if fields.get("code") == "Success":
        validation.validate("t-1", b"csr")
    else:
        with pytest.raises((RequestRejected, Unavailable)):
            validation.validate("t-1", b"csr")


@given(orders=st.lists(OBJECTS | JSON, max_size=4))
def test_odd_orders_revoke_nothing(orders):
    """They are reported as what they are."""
    revocations = Revocations("contoso", FakeServer(), Stub({"value": orders}), ())

    with suppress(Unavailable):
        revocations.run()


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("secret\n", 0o644, "everybody may read"),
        ("", 0o600, "one line of text"),
        ("two\nlines\n", 0o600, "one line of text"),
        ("\x07", 0o600, "one line of text"),
        ("x" * 20_000, 0o600, "one line of text"),
    ],
)
def test_files_that_hold_no_secret_are_refused(tmp_path, text, mode, why):
    """In a sentence that says what is wrong, and not what was read."""
    file = tmp_path / "secret"
    file.write_text(text)
    file.chmod(mode)

    with pytest.raises(ConfigurationError, match=why):
        read_secret(str(file))


def test_files_that_are_not_text_or_certificates_are_refused(tmp_path):
    """The start stops."""
    file = tmp_path / "octets"
    file.write_bytes(b"\xff\xfe")
    file.chmod(0o600)

    with pytest.raises(ConfigurationError, match="UTF-8"):
        read_secret(str(file))
    with pytest.raises(ConfigurationError, match="cannot be used for TLS"):
        tls_context(Trust(str(file)))
