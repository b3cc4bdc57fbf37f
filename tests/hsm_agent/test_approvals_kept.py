"""Octets that wait outlive a restart, a full disk and damage of their files."""

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_agent.approvals.faults import StillWaiting
from hsm_agent.approvals.records import Records
from hsm_agent.faults import NotThere
from hsm_agent.journal.faults import JournalFault
from hsm_agent.policy.verdicts import Approval
from tests.hsm_agent.waiting_approvals import ALICE, BOB, Waiting


@pytest.fixture
def side(tmp_path):
    made = Waiting(tmp_path)
    yield made
    made.journal.close()


def test_approvals_outlive_a_restart_and_follow_the_policy_of_the_moment(side):
    """Who is no approver any more does not count; what is wanted may change while it waits."""
    digest, said = side.wait()
    side.approvals.add_proof(digest, "ssh", ALICE.sign(said))
    side.approvals.add_proof(digest, "ed25519", BOB.sign(said))
    side.open()
    assert ("alice", "bob") == side.ask()

    del side.people.approvers["alice"]
    with pytest.raises(StillWaiting, match="1 of 2"):
        side.ask()
    assert ("bob",) == side.ask(threshold=Approval(1, ("bob", "local")))
    side.approvals.add_proof(digest, "local", b"")
    assert ("bob", "local") == side.ask(threshold=Approval(2, ("bob", "local")))


def test_an_approval_that_cannot_be_kept_is_none(side):
    """A full disk, a folder that is gone: refused, and it still waits."""
    digest, said = side.wait()
    folder = side.folder / "approvals"
    folder.rename(side.folder / "away")

    with pytest.raises((JournalFault, NotThere)):
        side.approvals.add_proof(digest, "ed25519", BOB.sign(said))
    with pytest.raises(JournalFault, match="cannot be written"):
        side.ask(b"another")
    (side.folder / "away").rename(folder)
    with pytest.raises(StillWaiting, match="0 of 2"):
        side.ask()


def test_a_damaged_file_is_left_alone_and_told(side, caplog):
    """The server asks again, and people approve again."""
    digest, _ = side.wait()
    [file] = (side.folder / "approvals").iterdir()
    file.write_bytes(b"\xa1\x61x")
    side.open()

    assert [] == list(side.approvals.pending())
    assert file.name in caplog.text
    side.wait()
    assert digest == side.approvals.pending()[0].approval


def test_octets_that_vanish_while_they_wait_are_told(side):
    """Somebody removed the file."""
    digest, _ = side.wait()
    for file in (side.folder / "approvals").iterdir():
        file.unlink()

    with pytest.raises(NotThere, match="cannot be read"):
        side.approvals.octets(digest)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.dictionaries(st.text(), st.integers()).map(cbor2.dumps))
def test_no_file_stops_the_start(tmp_path, octets):
    """Whatever lies in the folder."""
    folder = tmp_path / "approvals"
    folder.mkdir(exist_ok=True)
    (folder / f"{'00' * 32}.waiting").write_bytes(octets)

    assert {} == Records(folder).all()
