"""Where settings are written, and which place wins."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import ConfigurationError
from pikaserver.settings.loading import Flag, load, read_sources
from pikaserver.settings.sources import (
    PREFIX,
    Kind,
    Layer,
    Origin,
    key_of,
    merge,
    read_variable,
    variable_of,
)

names = st.from_regex(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", fullmatch=True)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_each_place_overrides_those_before_it(tmp_path):
    """File, conf.d by name, credential, environment, flag: the later one wins."""
    file = write(tmp_path / "pikaserver.toml", '[server]\nhostname = "file"\nnode = 1\n')
    write(tmp_path / "conf.d/20.toml", "[server]\nnode = 20\n")
    write(tmp_path / "conf.d/10.toml", "[server]\nnode = 10\n")
    credentials = write(tmp_path / "secrets/pikaserver__server__node", "30\n").parent
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
    louder = {**environment, "PIKASERVER__SERVER__NODE": "40"}
    flag = Flag(("server", "node"), 50, "--node")

    from_files = load({}, config=file)
    from_credential = load(environment, config=file)
    from_environment = load(louder, config=file)
    from_flag = load(louder, config=file, flags=[flag])

    assert (20, "file") == (from_files.host.server.node, from_files.host.server.hostname)
    assert 30 == from_credential.host.server.node
    assert 40 == from_environment.host.server.node
    assert 50 == from_flag.host.server.node


def test_every_value_knows_its_place(tmp_path):
    """The origin names the file, credential, variable or flag; what nobody wrote is a default."""
    file = write(tmp_path / "pikaserver.toml", '[logs]\nformat = "json"\n[server]\nnode = 2\n')
    part = write(tmp_path / "conf.d/a.toml", '[server]\nhostname = "pki.example"\n')
    secrets = write(tmp_path / "secrets/pikaserver__database__url", "sqlite:////x").parent
    environment = {"CREDENTIALS_DIRECTORY": str(secrets), "PIKASERVER__LOGS__LEVEL": "debug"}

    sources = load(environment, config=file, data=tmp_path).sources

    assert Origin(Kind.FILE, str(file)) == sources.origin(("logs", "format"))
    assert Origin(Kind.FILE, str(part)) == sources.origin(("server", "hostname"))
    assert Origin(Kind.FILE, str(file)) == sources.origin(("server", "node"))
    assert "credential pikaserver__database__url" == str(sources.origin(("database", "url")))
    assert "environment PIKASERVER__LOGS__LEVEL" == str(sources.origin(("logs", "level")))
    assert "flag --data" == str(sources.origin(("data", "directory")))
    assert "default" == str(sources.origin(("keys", "key-encryption-key")))


def test_the_file_in_the_data_folder_is_found_by_itself(tmp_path):
    """``--data DIR`` is enough: the settings are in DIR."""
    write(tmp_path / "pikaserver.toml", "[server]\nnode = 7\n")

    by_flag = load({}, data=tmp_path)
    by_variable = load({"PIKASERVER__DATA__DIRECTORY": str(tmp_path)})

    assert 7 == by_flag.host.server.node
    assert 7 == by_variable.host.server.node


def test_the_systems_file_counts_only_for_its_own_data_folder(tmp_path):
    """A throw-away server beside a system's one never reaches the system's database."""
    there = tmp_path / "var"
    text = f'[data]\ndirectory = "{there}"\n[server]\nnode = 9\n'
    system = write(tmp_path / "etc/pikaserver.toml", text)

    nothing_named = load({}, system_file=system)
    same_named = load({}, data=there, system_file=system)
    other_named = load({}, data=tmp_path / "other", system_file=system)

    assert (9, there) == (nothing_named.host.server.node, nothing_named.host.data.directory)
    assert 9 == same_named.host.server.node
    assert 1 == other_named.host.server.node


def test_a_relative_data_folder_starts_where_its_file_is(tmp_path):
    """Commands may be typed in any folder."""
    file = write(tmp_path / "pikaserver.toml", '[data]\ndirectory = "."\n')

    settings = load({}, config=file).host

    assert tmp_path == settings.data.directory
    assert f"sqlite:///{tmp_path}/pikaserver.db" == settings.database.url
    assert tmp_path / "tls/web.pem" == settings.path("tls/web.pem")


def test_lists_and_tables_in_variables_are_toml(tmp_path):
    """Everything else is taken as it stands, an IPv6 address in brackets included."""
    environment = {
        "PIKASERVER__PLUGINS__ENABLED": '["crl", "est"]',
        "PIKASERVER__LISTENERS__PUBLIC__BIND": "[::]:8080",
        "PIKASERVER__LISTENERS__PUBLIC__SERVE": '["crl"]',
        "PIKASERVER__SERVER__BASE_URLS": '{ crl = "http://pki.example" }',
    }

    host = load(environment, data=tmp_path).host

    assert ("crl", "est") == host.plugins.enabled
    assert ("::", 8080) == host.listeners["public"].address
    assert {"crl": "http://pki.example"} == host.server.base_urls


def test_a_variable_cannot_smuggle_a_second_setting():
    """What follows the value makes the whole a plain string."""
    assert '["a"]\nb = 1' == read_variable('["a"]\nb = 1')


@given(st.text())
def test_any_text_is_a_value(text):
    """Reading a variable never fails; wrong values are the check's business."""
    read_variable(text)


@given(st.lists(names, min_size=1, max_size=4))
def test_a_variable_and_its_key_name_each_other(parts):
    """Messages name the variable that the operator wrote."""
    key = tuple(parts)

    assert variable_of(key).startswith(PREFIX)
    assert key == key_of(variable_of(key))


tables = st.recursive(
    st.integers() | st.text() | st.lists(st.integers()),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict))


@given(tables, tables)
def test_the_stronger_layer_is_kept_whole(weaker, stronger):
    """Every value of the last layer is there, and the layers themselves stay as they were."""
    before = repr((weaker, stronger))

    merged = merge([Layer(weaker, Origin(Kind.FILE)), Layer(stronger, Origin(Kind.FLAG))])

    assert before == repr((weaker, stronger))
    for key, value in _leaves(stronger, ()):
        assert value == merged.get(key)
        assert Kind.FLAG is merged.origin(key).kind


def _leaves(table, at):
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*at, name))
        else:
            yield (*at, name), value


@pytest.mark.parametrize(
    "octets", [b"[server\n", b"\xff\xfe", b"a = 1\na = 2\n", b"x = " + b"[" * 5000]
)
def test_a_file_that_is_not_toml_stops_the_start(tmp_path, octets):
    """The sentence names the file."""
    file = tmp_path / "pikaserver.toml"
    file.write_bytes(octets)

    with pytest.raises(ConfigurationError, match=r"pikaserver\.toml is not TOML"):
        load({}, config=file)


def test_a_named_file_must_be_there(tmp_path):
    """No silent fallback to defaults."""
    with pytest.raises(ConfigurationError, match=r"cannot read .*absent\.toml: No such file"):
        read_sources({}, config=tmp_path / "absent.toml")


def test_an_unreadable_credential_stops_the_start(tmp_path):
    """A secret that is not there is not an empty one."""
    (tmp_path / "pikaserver__database__url").mkdir()

    with pytest.raises(ConfigurationError, match="cannot read the credential"):
        read_sources({"CREDENTIALS_DIRECTORY": str(tmp_path)})
