"""The same store through a real pcscd, beside other programs."""

import contextlib
import json
import subprocess
import sys

import pytest

from pikaserver.testing.patience import until
from tests.hsm_agent.piv_bench import PIN
from tests.virtual_yubikey.plugged import READER, plugged_card

REFUSALS_OF_A_SECOND = 400
"""Four threads rest 10 ms after each.  pcscd looks every 400 ms: a card that is back before, while
somebody tried to connect, is never powered up again; no hand is so quick."""
SLOWEST_RATE = 60
"""Signatures a second with P-256; a line that waits for acknowledgements makes 20."""


class Agent:
    """The store, in a process that stands where the reader is."""

    def __init__(self, process):
        self._process = process

    def __call__(self, *deed):
        self._process.stdin.write(json.dumps(deed) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextlib.contextmanager
def agent_in(room, **settings):
    """Run the store until the block ends."""
    command = [sys.executable, "-m", "tests.hsm_agent.piv_client", room.folder]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with room.start(*command, json.dumps(settings), **pipes) as process:
        try:
            yield Agent(process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    """Give one card in one reader, off the factory's values, with two keys."""
    with plugged_card(tmp_path_factory.mktemp("piv"), "--delay", "ECCP384=0.5") as card:
        with agent_in(card.room) as agent:
            assert 3 == len(agent("initialise"))
            assert "verified: Test PIV Root CA" == agent("generate", "9c", "ec-p256")
            assert "verified: Test PIV Root CA" == agent("generate", "82", "ec-p384")
        yield card


def test_it_signs_and_lists_through_pcscd(card):
    """The card's reader, serial, and both keys."""
    with agent_in(card.room, serial=12345678) as agent:
        assert agent("sign", "9c", "ecdsa-sha256")
        assert agent("sign", "9c", "ecdsa-sha512")
        assert agent("sign", "82", "ecdsa-sha256")
        state, details = agent("state")
        assert ("ready", READER, "5.7.1") == (state, details["reader"], details["firmware"])
        assert ["9c", "82"] == agent("slots")
        assert ["ec-p256", "ec-p384"] == [kind for kind, _ in agent("keys").values()]


def test_ykman_shows_what_we_made(card):
    """Keys, policies of the card, and that nothing is the factory's any more."""
    with agent_in(card.room) as agent:
        agent("sign", "9c", "ecdsa-sha256")

    told = card.room.run("ykman", "--reader", READER, "piv", "info")

    assert 0 == told.returncode, told.stderr
    facts = dict(line.strip().split(":", 1) for line in told.stdout.splitlines() if ":" in line)
    assert "3/3" == facts["PIN tries remaining"].strip()
    assert "AES256" == facts["Management key algorithm"].strip()
    assert "Slot 9C (SIGNATURE):\n  Private key type: ECCP256" in told.stdout
    assert "Slot 82 (RETIRED1):\n  Private key type: ECCP384" in told.stdout
    assert "WARNING" not in told.stdout
    key = card.room.run("ykman", "--reader", READER, "piv", "keys", "info", "9c")
    assert ["GENERATED", "ONCE"] == [
        line.split()[-1]
        for line in key.stdout.splitlines()
        if line.startswith(("Origin:", "PIN required"))
    ]


def test_a_card_pulled_and_put_back_under_load_signs_again_by_itself(card):
    """Four threads: refusals while it is away, and no wrong PIN."""
    with agent_in(card.room) as agent:
        agent("work", "9c", "ecdsa-sha256", 4)
        assert agent("await_outcome", "signed", 20)

        for _ in range(2):
            card.pull()
            assert agent("await_outcome", "token-absent", REFUSALS_OF_A_SECOND)
            card.insert()
            assert agent("await_outcome", "signed", 20)

        outcomes = agent("rest")
        assert {"signed", "token-absent"} == set(outcomes)
        assert "3" == agent("state")[1]["pin-tries"]


def test_the_card_is_ours_alone_while_we_use_it(card):
    """Other programs would forget our PIN each time; they are told to wait."""
    with agent_in(card.room) as agent, agent_in(card.room) as other:
        assert agent("sign", "9c", "ecdsa-sha256")

        code, sentence = other("sign", "9c", "ecdsa-sha256")

        assert "token-absent" == code
        assert f"another program holds the card in reader {READER}" in sentence
        assert [READER, "", f"another program holds the card in reader {READER}"] == [
            part.partition(";")[0] for part in other("plugged_in")[0]
        ]
        assert "closed" == agent("close")
        assert [READER, "12345678", ""] == other("plugged_in")[0]


def test_a_shared_card_survives_other_programs(card):
    """Each use of ykman resets the card under our hands."""
    with agent_in(card.room, exclusive=False) as agent:
        assert agent("sign", "9c", "ecdsa-sha256")
        for _ in range(2):
            told = card.room.run("ykman", "--reader", READER, "piv", "info")
            assert 0 == told.returncode, told.stderr
            assert agent("sign", "9c", "ecdsa-sha256")
        assert "3" == agent("state")[1]["pin-tries"]


def test_a_slow_card_does_not_stop_the_rest_of_the_agent(card):
    """Heartbeats go on while the card thinks for half a second."""
    with agent_in(card.room) as agent:
        assert agent("sign", "82", "ecdsa-sha384")
        until(lambda: 10 < agent("beats_while_signing", "82", "ecdsa-sha384"), "ten beats", 60)


def test_it_loses_no_time_on_the_way(card, record_property):
    """The store and pcscd together are no slower than any card."""
    with agent_in(card.room) as agent:
        # Others may keep the machine busy for a while; who waits for others is always slow.
        rate = until(lambda: quick(agent("rate", "9c", "ecdsa-sha256", 100)), "a quick series", 60)
    record_property("signatures_per_second", round(rate))


def quick(rate):
    return rate if rate > SLOWEST_RATE else None


def test_a_management_key_on_the_card_is_understood_by_ykman(card):
    """Both find it behind the PIN: ykman makes a key with it, then we do."""
    with agent_in(card.room) as agent:
        assert "lies on the card" in agent("management_key_on_card")
    words = ("piv", "keys", "generate", "--pin", PIN, "--algorithm", "ECCP256", "9d", "-")

    made = card.room.run("ykman", "--reader", READER, *words)

    assert 0 == made.returncode, made.stderr
    (card.room.folder / "management-key").unlink()
    with agent_in(card.room) as agent:
        assert agent("sign", "9d", "ecdsa-sha256")
        assert "verified: Test PIV Root CA" == agent("generate", "9e", "ec-p256")
        assert ["9c", "9d", "9e", "82"] == agent("slots")


def test_no_pcscd_is_a_sentence(card, tmp_path):
    """Nothing hangs, nothing is raised at the start."""
    (tmp_path / "pin").touch(mode=0o600)
    (tmp_path / "pin").write_text(PIN, encoding="ascii")
    (tmp_path / "root.pem").write_bytes(card.root.read_bytes())
    command = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"', "sh"]
    program = [sys.executable, "-m", "tests.hsm_agent.piv_client", tmp_path, "{}"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with card.room.start(*command, *program, **pipes) as process:
        state, details = Agent(process)("state")
        process.kill()

    assert "absent" == state
    assert "pcscd does not run" in details["why"]
