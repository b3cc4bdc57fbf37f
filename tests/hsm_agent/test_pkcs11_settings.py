"""``[stores.NAME]`` of a PKCS#11 token: what is accepted, and how a mistake is told."""

import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.settings.settings import STORE_KEYS
from hsm_agent.stores.pkcs11.opening import open_store
from hsm_agent.stores.pkcs11.settings import KEYS, read_settings

MODULE = __file__
"""Any file; nothing is loaded here."""
GOOD = {"module": MODULE, "token": "hsm", "pin-file": "token.pin"}
FOLDER = Path("/var/lib/hsm-agent")


def test_the_least_settings_get_good_defaults():
    """Paths start in the agent's folder."""
    settings = read_settings(GOOD, FOLDER)

    assert {"token": "hsm"} == settings.token
    assert ("pin-file", "/var/lib/hsm-agent/token.pin") == settings.pin
    assert (64, 20.0, 600.0) == (settings.window, settings.timeout, settings.generate_timeout)
    assert "the token hsm" == settings.name


def test_all_settings_are_read():
    """Also a token without login, by its slot."""
    settings = read_settings(
        {
            "kind": "pkcs11",
            "module": MODULE,
            "slot": 0,
            "login": False,
            "environment": {"SOFTHSM2_CONF": "/etc/softhsm2.conf"},
            "window": 8,
            "timeout": 2.5,
            "generate-timeout": 30,
        },
        FOLDER,
    )

    assert ({"slot": 0}, None) == (settings.token, settings.pin)
    assert {"SOFTHSM2_CONF": "/etc/softhsm2.conf"} == settings.environment
    assert (8, 2.5, 30) == (settings.window, settings.timeout, settings.generate_timeout)
    assert "the token of slot 0" == settings.name


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"module": None}, "module is missing"),
        ({"module": "libsofthsm2.so"}, "not the full path of a library"),
        ({"module": "/nowhere/libsofthsm2.so"}, "not the full path of a library"),
        ({"token": None}, "exactly one of token, serial, slot has to be there, not 0"),
        ({"serial": "1"}, "exactly one of token, serial, slot has to be there, not 2"),
        ({"pin-file": None}, "exactly one of pin, pin-file, pin-credential has to be there, not 0"),
        ({"pin": "prompt"}, "has to be there, not 2"),
        ({"pin-file": None, "pin": "123456"}, "a PIN does not belong here"),
        ({"pin-file": None, "pin-credential": "../pin"}, "the name of a credential"),
        ({"login": False}, "login is false, so that no PIN is used"),
        ({"token": None, "slot": 1 << 63}, "slot should be 0 to 9.22337e"),
        ({"login": "no"}, "login should be true or false"),
        ({"token": 7}, "token should be a text in quotation marks"),
        ({"window": 0}, "window should be 1 to 1024"),
        ({"window": 1.5}, "window should be a whole number"),
        ({"timeout": True}, "timeout should be a number"),
        ({"timeout": float("nan")}, "timeout should be 0.1 to 600"),
        ({"environment": []}, "environment should be a table"),
        ({"environment": {"A": 1}}, "environment.A should be a text"),
        ({"environment": {"A=B": "c"}}, "environment.A=B should be a text"),
        ({"pinfile": "x"}, "pinfile is not a setting of a PKCS#11 store; did you mean 'pin-file'"),
    ],
)
def test_a_mistake_is_told_in_the_operators_words(change, complaint):
    """The text begins with the setting; the PIN is not repeated."""
    settings = {k: v for k, v in {**GOOD, **change}.items() if v is not None}

    with pytest.raises(ValueError, match=complaint.replace("(", r"\(")) as caught:
        read_settings(settings, FOLDER)

    assert "123456" not in str(caught.value)


def test_a_missing_library_stops_the_start_with_the_cure(monkeypatch, tmp_path):
    """It comes with an extra; the agent alone does not need it."""
    monkeypatch.setitem(sys.modules, "pkcs11", None)

    with pytest.raises(ValueError, match=r"pip install 'pikaserver\[pkcs11\]'"):
        open_store(GOOD, tmp_path)


def test_the_agents_settings_let_every_setting_through():
    """What its file may say about a PKCS#11 store is what the store reads."""
    assert set(KEYS) == set(STORE_KEYS["pkcs11"])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), values))
def test_whatever_is_written_is_read_or_refused(changes):
    """Nothing but a sentence stops the start."""
    with suppress(ValueError):
        read_settings({**GOOD, **changes}, FOLDER)
