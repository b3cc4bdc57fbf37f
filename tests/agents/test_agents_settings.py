"""What operators may write into ``[plugins.agents]``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pikaserver_agents.settings import AgentSettings, host_and_port, join


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ({"bind": "8444"}, "should look like"),
        ({"bind": "host:70000"}, "should look like"),
        ({"bind": "::1:8444"}, "should look like"),
        ({"address": "https://pki.example"}, "should look like"),
        ({"heartbeat": 1000, "dead": 1500}, "at least twice"),
        ({"several": "random"}, "several"),
        ({"queue": -1}, "queue"),
        ({"bnid": "host:1"}, "bnid"),
    ],
)
def test_settings_that_cannot_be_are_refused(written, fault):
    """One sentence says which, in the operator's spelling."""
    with pytest.raises(ValidationError, match=fault):
        AgentSettings(**written)


def test_settings_are_written_with_hyphens():
    """As everywhere in the settings."""
    assert 3 == AgentSettings(**{"code-validity": 3}).code_validity


@given(st.sampled_from(["pki.example", "192.0.2.1", "2001:db8::1"]), st.integers(0, 65535))
def test_addresses_are_read_as_they_are_written(host, port):
    """IPv6 goes into brackets."""
    assert (host, port) == host_and_port(join(host, port))


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_none(text):
    """Nothing is raised, whatever somebody wrote."""
    found = host_and_port(text)

    assert found is None or (found[0] and 0 <= found[1] <= 65535)
