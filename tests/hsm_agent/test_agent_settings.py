"""``agent.toml``: strictly read, with a suggestion for what was meant."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hsm_agent.faults import SettingsFault
from hsm_agent.places import Place
from hsm_agent.policy.policy import read_policy
from hsm_agent.policy.starter import starter
from hsm_agent.policy_file import load_policy
from hsm_agent.settings.settings import (
    STORE_KEYS,
    LineSettings,
    Proxy,
    load_settings,
    read_settings,
)
from hsm_agent.settings.text import FirstSettings, settings_text
from hsm_agent.stores.opening import open_stores
from hsm_agent.stores.piv import opening as piv_opening
from hsm_agent.stores.pkcs11 import settings as pkcs11_settings

CONFIG = Path(__file__).parents[2] / "config" / "hsm-agent.toml"
LEAST = 'name = "vault-a"\n'


def read(text):
    return read_settings(text.encode())


def test_a_name_is_enough():
    """Everything else has a default."""
    settings = read(LEAST)

    assert ("vault-a", {}, "policy.toml", None) == (
        settings.name,
        settings.stores,
        settings.policy,
        settings.status,
    )
    assert LineSettings() == settings.line


def test_the_example_that_ships_loads():
    """With every setting in it, commented out or not, and each default is the default."""
    text = CONFIG.read_text(encoding="utf-8")
    commented = "\n".join(
        row.removeprefix("# ") if is_setting(row) else row for row in text.splitlines()
    )

    settings, everything = read(text), read(commented)

    assert "vault-a" == settings.name
    assert {"software", "pkcs11", "piv"} == {s.kind for s in everything.stores.values()}
    assert settings.line == LineSettings()
    assert everything.line == LineSettings(proxy=Proxy("proxy.example", 3128, "agent", "proxy-pin"))
    for store in everything.stores.values():
        alternatives = {"serial", "slot", "pin", "pin-credential", "login"}
        assert set(STORE_KEYS[store.kind]) - set(store.options) <= alternatives


def test_what_stores_take_is_what_their_rooms_take():
    """The settings are read strictly, also where a room's library is not installed."""
    assert set(pkcs11_settings.KEYS) == set(STORE_KEYS["pkcs11"])
    assert set(piv_opening.SETTINGS) == set(STORE_KEYS["piv"])


def is_setting(row):
    """Tell whether a comment is a setting, or the head of a table."""
    if not row.startswith("# "):
        return False
    try:
        tomllib.loads(row.removeprefix("# "))
    except tomllib.TOMLDecodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "name is missing"),
        ("name = 1", "name should be a text"),
        ('name = ""', "name should be a text"),
        ('name = "Vault A"', "small letters"),
        ('name = "a"\nstore = 1', "store is not a setting; did you mean 'stores'?"),
        ('name = "a"\nstores = 1', "stores should be a table"),
        ('name = "a"\n[stores.x]', "stores.x.kind is missing"),
        ('name = "a"\n[stores.x]\nkind = "pkcs"', "did you mean 'pkcs11'?"),
        (
            'name = "a"\n[stores.x]\nkind = "pkcs11"\nmodul = "x"',
            "stores.x.modul is not a setting; did you mean 'module'?",
        ),
        ('name = "a"\n[stores.x]\nkind = "piv"\nmodule = "x"', "stores.x.module is not a setting"),
        ('name = "a"\n[stores."a/b"]\nkind = "piv"', "stores.a/b is no name for a store"),
        ('name = "a"\ndefault-store = "x"', "default-store is 'x', which is no store here"),
        ('name = "a"\n[line]\nwindow = 0', "line.window should be a whole number from 1 to 4096"),
        ('name = "a"\n[line]\nwindow = true', "line.window should be a whole number"),
        ('name = "a"\n[line]\nnodes = "some"', "not one of learned, pinned"),
        ('name = "a"\n[line]\nconnect-timeout = "1"', "should be a number of seconds"),
        ('name = "a"\n[line]\nconnect-timeout = 0', "should be 0.1 to 120 seconds"),
        ('name = "a"\n[line]\nproxy = "socks5://x:1"', "not http://[USER@]HOST:PORT"),
        ('name = "a"\n[line]\nproxy = "http://x"', "not http://[USER@]HOST:PORT"),
        ('name = "a"\n[line]\nproxy = "http://x:99999"', "not http://[USER@]HOST:PORT"),
        ('name = "a"\n[line]\nproxy = "http://u:secret@x:1"', "put it into a file"),
        ('name = "a"\n[status]\nbind = "0.0.0.0:80"', "not a port of 127.0.0.1 or [::1]"),
        ('name = "a"\n[status]\nbind = "127.0.0.1"', "not a port of 127.0.0.1 or [::1]"),
        ('name = "a"\n[status]\nbnd = "127.0.0.1:1"', "did you mean 'bind'?"),
        ('name = "a"\n[journal]\nfile = "x"', "journal.file is not a setting"),
        ("name = ", "agent.toml: "),
        ('name = "a"\nname = "b"', "agent.toml: "),
    ],
)
def test_what_is_wrong_is_one_sentence_with_file_and_key(text, why):
    """In the operator's spelling."""
    with pytest.raises(SettingsFault) as fault:
        read(text)

    assert why in str(fault.value)
    assert str(fault.value).startswith("agent.toml: ")
    assert "secret" not in str(fault.value)


def test_settings_that_are_not_there_say_how_they_come(tmp_path):
    """The first thing that a person may have forgotten."""
    with pytest.raises(SettingsFault, match="hsm-agent enroll CODE"):
        load_settings(Place(tmp_path))


def test_a_folder_in_their_place_is_told(tmp_path):
    """Whatever the system says, in its words."""
    (tmp_path / "agent.toml").mkdir()

    with pytest.raises(SettingsFault, match="cannot be read"):
        load_settings(Place(tmp_path))


@pytest.mark.parametrize("bind", ["127.0.0.1:8446", "[::1]:0", "127.9.9.9:1"])
def test_the_status_page_may_be_on_any_loopback_address(bind):
    """And nowhere else."""
    host, _, port = bind.rpartition(":")

    assert (host.strip("[]"), int(port)) == read(f'{LEAST}[status]\nbind = "{bind}"').status


def test_a_library_that_is_missing_is_named(tmp_path, monkeypatch):
    """With the command that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "hsm_agent.stores.pkcs11.opening", None)
    settings = read(f'{LEAST}[stores.hsm]\nkind = "pkcs11"')

    with pytest.raises(SettingsFault, match=r"pip install 'pikaserver\[pkcs11\]'"):
        open_stores(settings.stores, Place(tmp_path))


@given(
    some.builds(
        FirstSettings,
        some.from_regex(r"[a-z0-9]([a-z0-9.-]{0,10}[a-z0-9])?", fullmatch=True),
        some.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True),
        some.just("pkcs11"),
        some.fixed_dictionaries({"module": some.text(min_size=1), "token": some.text(min_size=1)}),
    )
)
def test_what_an_enrolment_writes_is_read_again(first):
    """Paths and labels may hold whatever TOML can say."""
    try:
        text = settings_text(first).encode()
    except UnicodeEncodeError:
        return  # half a surrogate pair is no text
    settings = read_settings(text)

    assert first.name == settings.name
    assert dict(first.options) == settings.stores[first.store].options


@given(some.binary(max_size=400) | some.text(max_size=200).map(lambda t: t.encode(errors="ignore")))
def test_no_octets_raise_anything_else(octets):
    """Settings, or one sentence."""
    try:
        read_settings(octets)
    except SettingsFault:
        return


def test_the_example_of_a_policy_is_what_an_enrolment_writes():
    """With names; so nobody begins with a file that was forgotten."""
    example = CONFIG.with_name("agent-policy.toml")
    names = ["example.com", "internal.example"]

    assert starter("vault-a", dns=names, email=["example.com"]) == example.read_text()
    assert read_policy(example.read_bytes()).warnings() == load_policy(example).warnings()
