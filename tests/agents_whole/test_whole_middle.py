"""A man in the middle between agent and server: he may pass octets on, and nothing else."""

import time

import pytest

from pikaserver.testing.patience import until
from tests.agents_whole.deeds import new_key
from tests.agents_whole.house import AgentHost, running_house
from tests.agents_whole.judging import Judge
from tests.agents_whole.middle import (
    TO_AGENT,
    TO_SERVER,
    After,
    Holding,
    Middle,
    cut,
    flip,
    shortened,
    shuffled,
    terminating,
    twice,
)

ADDRESS = "PIKASERVER__PLUGINS__AGENTS__ADDRESS"
WITHIN_HANDSHAKE, WITHIN_FRAMES = 300, 2500
"""Octets of one direction after which he begins to alter them."""


class Impostor:
    """TLS with certificates of his own: of a CA that the agent's host trusts, or of nobody."""

    def __init__(self, folder):
        self._judge = Judge(folder)
        self.ca = folder / "ca.pem"
        self._run("ca", "-addext", "basicConstraints=critical,CA:true", subject="/CN=Public CA")

    def certified(self):
        """Return a context with a certificate for the server's address, by the public CA."""
        by = ("-CA", self.ca, "-CAkey", self.ca.with_suffix(".key"))
        return self._context("public", *by)

    def self_signed(self):
        """Return one with the node's own name and no CA."""
        return self._context("own")

    def _context(self, name, *by):
        self._run(name, "-addext", "subjectAltName=IP:127.0.0.1,DNS:pki.example.test", *by)
        return terminating(self._path(name), self._path(name).with_suffix(".key"))

    def _path(self, name):
        return self._judge.folder / f"{name}.pem"

    def _run(self, name, *words, subject="/CN=pikaserver node 1"):
        out = self._path(name)
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        files = ("-keyout", out.with_suffix(".key"), "-out", out)
        self._judge.run("req", "-x509", "-subj", subject, "-days", "365", *key, *files, *words)


@pytest.fixture(scope="module")
def impostor(tmp_path_factory):
    return Impostor(tmp_path_factory.mktemp("impostor"))


@pytest.fixture(scope="module")
def middle():
    made = Middle()
    yield made
    made.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory, middle):
    """Give a server whose agents are told the address of the man in the middle."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(ADDRESS, f"127.0.0.1:{middle.port}")
        with running_house(tmp_path_factory.mktemp("house")) as made:
            middle.upstream = made.agents_port
            yield made


@pytest.fixture(scope="module")
def host(house, impostor):
    """Give an agent on a host that trusts the public CA, and an authority on its key."""
    host = house.host("vault-a")
    host.environment["SSL_CERT_FILE"] = str(impostor.ca)
    house.start(host)
    house("ca", "create", "devices", "--parent", "root", *new_key("devices"))
    house("template", "create", "web-devices", "--starter", "web", "--authority", "devices")
    return host


@pytest.fixture
def works(house, host, middle):
    """Check that everything works before, and again when he passes octets on honestly."""
    host.stop()  # begun anew, it dials again soon
    house.start(host)
    assert 0 == issue(house).code
    yield
    middle.behave()
    until(lambda: house.is_connected(host.name), "the line", 40)
    until(lambda: 0 == issue(house).code, "a certificate")
    assert host.json("journal", "verify")["sound"]


def issue(house):
    """Ask for a certificate by the key of the agent."""
    out = house.folder / "issued.pem"
    key = out.with_suffix(".key")
    key.unlink(missing_ok=True)
    wish = ("--template", "web-devices", "--dns", "www.example.com")
    return house.try_("cert", "issue", *wish, "--key-out", key, "--out", out)


def fault(host):
    """Return why the line of an agent is down, once it is."""

    def found():
        (line,) = host.json("status")["lines"]
        return line["state"] != "up" and line["fault"]

    return until(found, "the end of the line")


def wait_for_visits(middle, more=2):
    """Wait until the agent has dialled again, and again."""
    wanted = middle.visits + more
    until(lambda: middle.visits >= wanted, "further tries", 30)


@pytest.mark.usefixtures("works")
def test_who_passes_octets_on_is_not_noticed(house, host):
    """The keys are those of both ends, whoever carries what they say."""
    assert 0 == issue(house).code
    assert house.json("agent", "test", host.name)


@pytest.mark.usefixtures("works")
@pytest.mark.parametrize("kind", ["certified", "self_signed"])
def test_who_ends_tls_himself_gets_nothing(host, middle, impostor, kind):
    """No CA of this world counts, and not even the agent's certificate is shown to him."""
    middle.behave(tls=getattr(impostor, kind)())

    wait_for_visits(middle)
    told = fault(host)

    assert "answers with key sha256:" in told
    assert "is pinned: nothing was sent" in told
    assert b"" == middle.heard
    assert [] == middle.certificates
    assert any("is pinned" in line["why"] for line in host.journal("line"))


@pytest.mark.usefixtures("works")
@pytest.mark.parametrize("kind", ["certified", "self_signed"])
def test_a_code_is_not_spent_before_an_impostor(house, middle, impostor, kind):
    """The token goes to the pinned key alone; afterwards the same code is good."""
    code = house.code(f"vault-{kind.replace('_', '-')}")
    host = AgentHost(house.folder / kind, kind)
    middle.behave(tls=getattr(impostor, kind)())

    refused = host.try_("enroll", code)
    heard = middle.heard
    middle.behave()
    done = host.try_("enroll", code)

    assert 4 == refused.code
    assert "is pinned: nothing was sent" in refused.errors
    assert b"" == heard
    assert 0 == done.code, done.errors


@pytest.mark.usefixtures("works")
@pytest.mark.parametrize(
    ("deed", "direction", "octets"),
    [
        (flip, TO_AGENT, WITHIN_HANDSHAKE),
        (flip, TO_SERVER, WITHIN_HANDSHAKE),
        (flip, TO_AGENT, WITHIN_FRAMES),
        (flip, TO_SERVER, WITHIN_FRAMES),
        (twice, TO_AGENT, WITHIN_FRAMES),
        (shuffled, TO_SERVER, WITHIN_FRAMES),
        (shortened, TO_AGENT, WITHIN_FRAMES),
        (cut, TO_AGENT, WITHIN_FRAMES),
        (cut, TO_SERVER, WITHIN_FRAMES),
    ],
)
def test_who_alters_octets_ends_the_line_and_no_more(house, host, middle, octets, direction, deed):
    """Both sides drop the connection; the agent says why, and dials again until it is well."""
    middle.behave(After(direction, deed, octets))
    answers = []

    def ended():
        answers.append(issue(house).code)
        return answers[-1] == 4

    until(ended, "the end of the line", 30)
    told = fault(host)
    wait_for_visits(middle)

    assert told
    assert {0, 4} >= set(answers)
    assert [] == house.json("agent", "compare", host.name)["differences"]


@pytest.mark.usefixtures("works")
@pytest.mark.parametrize("direction", [TO_AGENT, TO_SERVER])
def test_octets_that_are_held_back_are_of_no_use_later(house, host, middle, direction):
    """The request fails in time; what comes afterwards signs nothing that nobody waits for."""
    holding = Holding(direction)
    middle.behave(holding)
    house.wait_connected(host.name)
    until(lambda: 0 == issue(house).code, "a certificate")
    signed = len(host.journal("sign"))

    holding.free.clear()
    began = time.monotonic()
    refused = issue(house)
    took = time.monotonic() - began
    told = fault(host)
    holding.free.set()

    assert 4 == refused.code
    assert took < 40
    assert told
    house.wait_connected(host.name)
    late = len(host.journal("sign")) - signed
    assert late == 0 if direction == TO_AGENT else late <= 1
    assert [] == house.json("agent", "compare", host.name)["differences"]
