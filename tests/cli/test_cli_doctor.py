"""The doctor finds what is wrong, says what to do, and changes nothing."""

import fcntl
import socket
import sqlite3

import pytest


@pytest.fixture
def shell(fresh_shell):
    """A server on free ports, whose CRLs are there."""
    settings = fresh_shell.data / "pikaserver.toml"
    text = settings.read_text()
    for port in ("8080", "8443"):
        text = text.replace(f":{port}", ":0")
    settings.write_text(text)
    fresh_shell("crl", "generate")
    return fresh_shell


def findings(shell):
    """Return the exit code, and state and advice by check."""
    answer = shell.try_("doctor", "-o", "json")
    return answer.code, {row["check"]: (row["state"], row["advice"]) for row in answer.json}


def use_port(shell, port):
    settings = shell.data / "pikaserver.toml"
    text = settings.read_text().replace('"127.0.0.1:0"', f'"127.0.0.1:{port}"', 1)
    settings.write_text(text)


def test_a_healthy_server_is_healthy(shell):
    """Everything is looked at, nothing is written."""
    before = shell.json("audit", "verify")

    code, found = findings(shell)

    assert 0 == code
    assert {"problem"} & {state for state, _ in found.values()} == set()
    assert {
        "settings",
        "database",
        "clock",
        "disk",
        "plugins",
        "authority root",
        "key of issuing",
    } <= {*found}
    assert before == shell.json("audit", "verify")


def test_an_empty_folder_is_told_what_to_do(tmp_path, shell):
    """And left empty."""
    empty = type(shell)(tmp_path / "empty", tmp_path)

    code, found = findings(empty)

    assert (6, "problem") == (code, found["data folder"][0])
    assert "pikaserver up" in found["data folder"][1]
    assert not (tmp_path / "empty").exists()


def test_a_key_that_others_may_read_is_a_problem(shell):
    """The command that mends it is named."""
    path = shell.data / "key-encryption-key"
    path.chmod(0o644)

    code, found = findings(shell)
    text = shell.try_("doctor").text

    assert (6, "problem", f"chmod 600 {path}.") == (code, *found["key-encryption key"])
    assert f"chmod 600 {path}" in text


def test_a_folder_that_others_may_read_is_a_problem(shell):
    """Whoever reads it reads the database."""
    shell.data.chmod(0o755)

    assert "problem" == findings(shell)[1]["data folder"][0]


def test_a_lost_key_is_a_problem(shell):
    """The examination goes on as far as it can."""
    (shell.data / "key-encryption-key").unlink()

    code, found = findings(shell)

    assert (6, "problem", "ok") == (code, found["key-encryption key"][0], found["disk"][0])


def test_a_port_that_another_program_has_is_a_problem(shell):
    """A running server of ours is none."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        use_port(shell, taken.getsockname()[1])
        other = findings(shell)[1]["listener public"]
        with (shell.data / "server.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            ours = findings(shell)[1]["listener public"]

    assert "problem" == other[0]
    assert "stop it" in other[1]
    assert "ok" == ours[0]


def test_a_stale_crl_is_a_problem(shell):
    """Relying parties refuse every certificate then."""
    connection = sqlite3.connect(shell.data / "pikaserver.db")
    connection.execute("UPDATE crl SET next_update = 1577836800000000")
    connection.commit()
    connection.close()

    code, found = findings(shell)

    assert (6, "problem") == (code, found["crl of issuing"][0])
    assert "crl generate issuing" in found["crl of issuing"][1]


def test_a_clock_that_ran_back_is_a_problem(shell):
    """The trail knows of later deeds."""
    connection = sqlite3.connect(shell.data / "pikaserver.db")
    connection.execute("UPDATE clock_seen SET at = 3786912000000000")
    connection.commit()
    connection.close()

    code, found = findings(shell)

    assert (6, "problem") == (code, found["clock"][0])


def test_authorities_near_their_end_are_told(shell):
    """So are those that wait for their certificate."""
    shell("ca", "create", "brief", "--subject", "CN=Brief", "--validity", "5d")
    shell("ca", "create", "waiting", "--subject", "CN=Waiting", "--csr")

    code, found = findings(shell)

    assert 0 == code
    assert "warning" == found["authority brief"][0]
    assert "ca renew brief" in found["authority brief"][1]
    assert "import-signed waiting" in found["authority waiting"][1]
    assert "ok" == found["crl of brief"][0]


def test_a_broken_setting_is_a_problem(shell):
    """In the words of the settings' own check."""
    settings = shell.data / "pikaserver.toml"
    settings.write_text(settings.read_text() + "\n[surprise]\nx = 1\n")

    answer = shell.try_("doctor")

    assert (6, True) == (answer.code, "surprise" in answer.text)


def test_a_certificate_file_that_is_missing_is_a_problem(shell):
    """A listener with its own certificate cannot start without it."""
    settings = shell.data / "pikaserver.toml"
    text = settings.read_text()
    own = text.replace('certificate = "auto"', 'certificate = "tls.pem"\nkey = "tls.key"')
    assert own != text
    settings.write_text(own)

    code, found = findings(shell)

    assert (6, "problem", "problem") == (
        code,
        found["tls of devices"][0],
        found["tls key of devices"][0],
    )


def test_a_service_that_is_not_there_is_found(shell):
    """The server would not start, although the settings alone are well-formed."""
    settings = shell.data / "pikaserver.toml"
    settings.write_text(settings.read_text().replace('"health", "crl"', '"health", "cmp"', 1))

    answer = shell.try_("doctor", "-o", "json")

    (found,) = [row for row in answer.json if row["check"] == "services"]
    assert (6, "problem") == (answer.code, found["state"])
    assert "listeners.public.serve names 'cmp', which is no service" in found["found"]
