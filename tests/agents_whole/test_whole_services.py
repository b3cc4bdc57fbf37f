"""An authority, its OCSP responder and its time-stamp unit, all with their keys on one token."""

import subprocess

import pytest

from pikaserver.testing.patience import until
from pikaserver.testing.requirements import require_program
from tests.agents_whole.deeds import leaf, new_key
from tests.agents_whole.judging import Judge

VAULT = "vault"
UNIT_VALIDITY = "2y"
"""What an agent's first policy lets a key sign for; a unit asks for more by itself."""


class Services:
    """What relying parties get from the server, and openssl's words on it."""

    def __init__(self, house, judge):
        self._house = house
        self._judge = judge
        self._url = f"http://127.0.0.1:{house.server.http_port}"
        self._trust = judge.file("root.pem", house.pem("root"))
        self._issuer = judge.file("vault.pem", house.pem(VAULT))

    def ocsp(self, certificate, *, nonce=False):
        """Return what openssl says of a certificate, asking our responder."""
        file = self._judge.file("asked.pem", certificate)
        told = subprocess.run(
            [
                *(self._judge.program, "ocsp", "-issuer", self._issuer, "-cert", file),
                *("-url", f"{self._url}/ocsp", "-CAfile", self._trust),
                *("-verify_other", self._issuer, *([] if nonce else ["-no_nonce"])),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        return told.stdout + told.stderr

    def stamp(self, content):
        """Return what openssl says of a time-stamp over some octets."""
        judge = self._judge
        data, query, reply = (judge.folder / f"it.{end}" for end in ("txt", "tsq", "tsr"))
        data.write_bytes(content)
        judge.run("ts", "-query", "-data", data, "-sha256", "-cert", "-out", query)
        curl = (
            require_program("curl", package="curl"),
            "-sS",
            "-f",
            "--data-binary",
            f"@{query}",
            "-o",
            reply,
        )
        kind = "content-type: application/timestamp-query"
        subprocess.run([*curl, "-H", kind, f"{self._url}/tsa/{VAULT}"], check=True)
        told = judge.run("ts", "-reply", "-in", reply, "-text")
        if "Status: Granted" not in told:
            return told
        return judge.run(
            *("ts", "-verify", "-queryfile", query, "-in", reply),
            *("-CAfile", self._trust, "-untrusted", self._issuer),
        )


@pytest.fixture(scope="module")
def vault(house, host):
    """An authority of the agent whose services have their keys there, too."""
    house("ca", "create", VAULT, "--parent", "root", *new_key(VAULT, agent=host.name))
    places = [f"{name}.key=agent:{host.name}/{VAULT}-{name}" for name in ("ocsp", "tsa")]
    for setting in (*places, f"tsa.validity={UNIT_VALIDITY}"):
        house("ca", "set", VAULT, "--service", setting)
    return house


@pytest.fixture
def services(vault, tmp_path):
    return Services(vault, Judge(tmp_path))


def labels(host):
    return {line["label"] for line in host.json("keys")}


def test_each_service_signs_at_the_agent(vault, host, services, tmp_path):
    """Answers and stamps hold; the agent's journal tells what each key signed."""
    _, serial, pem = leaf(vault, Judge(tmp_path), VAULT)

    good = services.ocsp(pem, nonce=True)
    vault("cert", "revoke", serial, "--yes")
    revoked = services.ocsp(pem, nonce=True)
    stamped = services.stamp(b"what was there")

    assert "Response verify OK" in good
    assert ": good" in good
    assert ": revoked" in revoked
    assert "Verification: OK" in stamped
    kinds = {(line["name"].rpartition("/")[2], line["kind"]) for line in host.journal("sign")}
    assert {(f"{VAULT}-ocsp", "ocsp"), (f"{VAULT}-tsa", "tst")} <= kinds
    assert {"service"} == {
        line["profile"]
        for line in host.journal("generate")
        if line["name"].endswith(("ocsp", "tsa"))
    }
    assert [] == vault.json("agent", "compare", host.name)["differences"]


def test_status_goes_on_while_the_agent_is_away(vault, host, services, tmp_path):
    """From answers signed before; stamps wait, and are told of in RFC 3161's words."""
    judge = Judge(tmp_path)
    _, _, asked = leaf(vault, judge, VAULT)
    assert ": good" in services.ocsp(asked)
    host.kill()
    vault.wait_connected(host.name, connected=False)

    kept = services.ocsp(asked)
    refused = services.stamp(b"nobody signs this")
    vault.start(host)

    assert "Response verify OK" in kept
    assert ": good" in kept
    assert "due to system failure" in refused
    assert f"{host.name} is away" in refused
    until(lambda: "Verification: OK" in services.stamp(b"somebody signs this"), "a stamp", 30)


def test_what_was_revoked_while_the_agent_is_away_is_never_good(vault, host, services, tmp_path):
    """No answer is better than a wrong one; with the agent comes the right one."""
    _, serial, pem = leaf(vault, Judge(tmp_path), VAULT)
    assert ": good" in services.ocsp(pem)
    host.kill()
    vault.wait_connected(host.name, connected=False)

    vault("cert", "revoke", serial, "--yes")
    away = services.ocsp(pem)
    vault.start(host)

    assert "trylater" in away
    until(lambda: ": revoked" in services.ocsp(pem), "the new status", 30)


def test_an_agent_that_lost_the_certificates_gets_them_again(vault, host, services):
    """As a second holder of the key does, which was away when they were made."""
    host.kill()
    vault.wait_connected(host.name, connected=False)
    for file in (host.data / "state" / "certificates").glob("*"):
        file.unlink()

    vault.start(host)

    until(lambda: "Verification: OK" in services.stamp(b"under which certificate?"), "a stamp", 30)


def test_unit_and_responder_are_certificates_like_others(vault, host):
    """They are listed, and can be revoked."""
    listed = vault.json("cert", "list", "--authority", VAULT)

    assert 2 == sum(any(word in str(one["subject"]) for word in ("OCSP", "Time")) for one in listed)
    assert {f"{VAULT}-ocsp", f"{VAULT}-tsa"} <= labels(host)
