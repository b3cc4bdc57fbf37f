"""An agent without any network: a root on a token in a safe, and files that are carried."""

import os

import pytest
from cryptography import x509

from hsm_agent.wire.bundles import ANSWERS, REQUESTS, Bundle
from tests.agents_whole.deeds import new_key
from tests.agents_whole.house import AgentHost, token_options
from tests.agents_whole.judging import Judge

MOST_JOURNEYS = 8
NAME = "vault-x"


class Stick:
    """Carries files between the server and the air-gapped host."""

    def __init__(self, folder, house, host):
        self._folder = folder
        self._house = house
        self._host = host
        self.journeys = 0

    def file(self, name):
        return self._folder / name

    def export(self, name="requests"):
        """Return the file with everything that waits at the server."""
        self._house("agent", "bundle", "export", NAME, "--out", self.file(name))
        return self.file(name)

    def answer(self, requests, name="answers"):
        """Return how the agent answers a file, and the file with its answers."""
        return self._host.try_("offline", requests, "--out", self.file(name)), self.file(name)

    def bring(self, answers):
        """Return how the server takes a file of answers."""
        return self._house.try_("agent", "bundle", "import", answers, "-o", "json")

    def carry(self):
        """Go there and back once; nothing goes wrong."""
        self.journeys += 1
        answered, answers = self.answer(self.export())
        assert 0 == answered.code, answered.errors
        taken = self.bring(answers)
        assert 0 == taken.code, taken.errors + taken.text

    def until_done(self, *words):
        """Say the same words and carry until they are done; return how often it was carried."""
        before = self.journeys
        for _ in range(MOST_JOURNEYS):
            answer = self._house.try_(*words)
            if 8 != answer.code:
                assert 0 == answer.code, answer.errors
                return self.journeys - before
            self.carry()
            self._approve()
        raise AssertionError(answer.errors)

    def _approve(self):
        for one in self._host.json("approvals"):
            if not one["approved_by"]:
                self._host("approve", one["id"], "--yes")


@pytest.fixture(scope="module")
def host(house, token, tmp_path_factory):
    """Give the host of an agent that registered by a file, in a network of its own: none."""
    without_network = ("unshare", "-n" if os.geteuid() == 0 else "-rn")
    made = AgentHost(house.folder / "safe", NAME, token.environment, without_network)
    code = house.code(NAME, "--offline")
    file = tmp_path_factory.mktemp("stick") / "registration"
    told = made.json("enroll", code, "--offline", file, *token_options(token))
    registered = house.json("agent", "register", file)
    assert (NAME, "offline") == (registered["agent"], registered["state"])
    assert told["words"] == registered["comparison_words"]
    return made


@pytest.fixture
def stick(tmp_path, house, host):
    return Stick(tmp_path, house, host)


@pytest.fixture
def judge(tmp_path):
    return Judge(tmp_path)


def test_a_root_in_a_safe_signs_by_files(house, host, stick, judge):
    """Root, subordinate and CRL; each command says what to carry, and goes on afterwards."""
    create = ("ca", "create", "deep", *new_key("deep", "ec-p384", NAME))
    first = house.try_(*create)

    journeys = stick.until_done(*create)
    stick.until_done("ca", "create", "shallow", "--parent", "deep", "--path-length", "0")
    stick.until_done("crl", "generate", "deep")

    assert 8 == first.code
    assert f"pikaserver agent bundle export {NAME}" in first.errors
    assert journeys <= 3
    assert judge.trusts(house.pem("deep"), house.pem("shallow"))
    assert judge.trusts_crl(house("crl", "export", "deep").text, house.pem("deep"))
    assert {"offline"} == {line["way"] for line in host.journal("sign")}
    assert host.json("journal", "verify")["sound"]


def test_a_bundle_that_was_altered_is_refused(house, host, stick):
    """By one bit: the frame gets no answer, and the journal says so."""
    create = ("ca", "create", "altered", *new_key("altered", agent=NAME))
    house.try_(*create)
    requests = stick.export()
    keys = len(host.json("keys"))

    answered, _ = stick.answer(altered(requests, REQUESTS))

    assert 1 == answered.code
    assert "got no answer: a frame whose signature does not hold" in answered.errors
    assert keys == len(host.json("keys"))
    assert "signature does not hold" in host.refusals()[-1]
    stick.until_done(*create)


def test_answers_that_were_altered_are_refused(house, stick):
    """The server takes none of what does not verify; the true file is good afterwards."""
    create = ("ca", "create", "answered", *new_key("answered", agent=NAME))
    house.try_(*create)
    _, answers = stick.answer(stick.export())
    wrong = altered(answers, ANSWERS)

    refused = stick.bring(wrong)

    assert 6 == refused.code
    assert 0 == refused.json["answers"]
    assert "signature does not hold" in refused.json["faults"][0]
    assert 8 == house.try_(*create).code
    assert 0 == stick.bring(answers).code
    stick.until_done(*create)


def test_a_bundle_counts_once(house, host, stick):
    """Whoever finds the stick later has nothing signed by it, and brings nothing twice."""
    create = ("ca", "create", "once", *new_key("once", agent=NAME))
    house.try_(*create)
    requests = stick.export()
    _, answers = stick.answer(requests)
    lines = len(host.journal("generate"))

    again, _ = stick.answer(requests, "again")
    first, second = stick.bring(answers), stick.bring(answers)

    assert 1 == again.code
    assert "came before" in again.errors
    assert lines == len(host.journal("generate"))
    assert first.json["answers"] >= 1
    assert 0 == second.json["answers"]
    stick.until_done(*create)


def test_a_bundle_for_another_agent_is_refused(house, host, stick):
    """Also one whose name was changed: its frames belong to the keys of both sides."""
    house.try_("ca", "create", "foreign", *new_key("foreign", agent=NAME))
    bundle = Bundle.of(stick.export().read_bytes(), REQUESTS)
    other = stick.file("other")
    other.write_bytes(Bundle(REQUESTS, "vault-y", bundle.frames).octets())

    answered, _ = stick.answer(other)

    assert 1 == answered.code
    assert "this bundle is for 'vault-y'" in answered.errors
    assert "no bundle" in stick.answer(host.data / "agent.toml")[0].errors


def test_what_the_safe_has_signed_is_what_the_server_knows(house, host, stick):
    """The journal comes with the answers; both histories are the same."""
    stick.until_done("ca", "create", "known", *new_key("known", "ec-p384", NAME))
    stick.carry()

    told = house.json("agent", "compare", NAME)

    assert ("mirror", []) == (told["source"], told["differences"])
    assert told["lines"] >= len(host.journal("sign"))
    roots = [one for one in house.json("ca", "list") if one["name"] == "known"]
    assert "itself" == roots[0]["issuer"]
    assert x509.load_pem_x509_certificate(house.pem("known").encode())


def altered(file, kind):
    """Return a copy of a bundle with one bit of each frame changed."""
    bundle = Bundle.of(file.read_bytes(), kind)
    changed = tuple((asking, flipped(frame)) for asking, frame in bundle.frames)
    other = file.with_name("altered")
    other.write_bytes(Bundle(kind, bundle.agent, changed).octets())
    return other


def flipped(octets):
    at = len(octets) // 2
    return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]
