"""kill -9 at every step of a signature: no key was ever used without a line on disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hsm_agent.journal.line import decode
from hsm_agent.journal.verify import verify
from tests.hsm_agent.journals import open_journal
from tests.hsm_agent.killed_service import STEPS
from tests.hsm_agent.service_side import Clock, service_side

ROOT = Path(__file__).parents[2]
HASH_OCTETS = 32


def run(folder, step):
    """Start the service and return it when it is about to sign."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.hsm_agent.killed_service", str(folder), step],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "ready\n" == child.stdout.readline()
    return child


def hashes(path):
    octets = path.read_bytes()
    return [octets[at : at + HASH_OCTETS].hex() for at in range(0, len(octets), HASH_OCTETS)]


def evidence(folder):
    """Return what keys were used for, what was answered, and the journal after its recovery."""
    with open_journal(folder / "journal", Clock()) as journal:
        lines = [decode(line) for line in journal.lines(1, 1 << 40)]
    report = verify(folder / "journal")
    assert report.sound, report.text()
    signs = {line["tbs"] for line in lines if line["event"] == "sign"}
    return hashes(folder / "used"), hashes(folder / "answered"), signs, lines


@pytest.mark.parametrize("step", [step for step in STEPS if step != "whenever"])
def test_a_kill_at_a_step_leaves_no_signature_without_a_line(tmp_path, step):
    """The chain verifies, and every use of a key stands in it."""
    with run(tmp_path, step) as child:
        assert -9 == child.wait(60)

    used, answered, signs, lines = evidence(tmp_path)

    assert set(used) <= signs
    assert [] == answered
    assert (step in ("within the line", "before the sync", "after the sync")) == (not used)
    assert ("within the line" == step) == ("recovered" == lines[-1]["event"])


def test_kills_at_any_moment_under_load_lose_no_line(tmp_path):
    """Again and again into the same journal: sound, complete, and the memory agrees."""
    for turn in range(6):
        folder = tmp_path / str(turn)
        folder.mkdir()
        with run(folder, "whenever") as child:
            while len(hashes(folder / "answered")) < 20 * turn:
                assert child.poll() is None
            child.kill()
            child.wait(60)
        used, answered, signs, _ = evidence(folder)

        assert set(answered) <= set(used) <= signs
        with service_side(folder) as side:
            [key] = {one["key"] for one in side.lines("generated")}
            for line in side.lines("sign"):
                serial = int(line["serial"], 16)
                assert line["tbs"] == side.memory.serial_use(bytes.fromhex(key), serial).hex()
