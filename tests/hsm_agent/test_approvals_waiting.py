"""Octets that wait: kept, approved by enough different people, declined, forgotten."""

import cbor2
import pytest

from hsm_agent.approvals import approvals as limits
from hsm_agent.approvals.faults import Declined, ProofRefused, StillWaiting, TooManyWait
from hsm_agent.faults import NotThere
from hsm_agent.journal.line import decode
from hsm_agent.policy.policy import Approver
from hsm_agent.policy.verdicts import Approval
from tests.hsm_agent.authenticators import raw_public
from tests.hsm_agent.waiting_approvals import ALICE, APPROVERS, BOB, CAROL, Waiting

LOCAL = Approval(1, ("local",))


@pytest.fixture
def side(tmp_path):
    made = Waiting(tmp_path)
    yield made
    made.journal.close()


def test_what_waits_is_shown_and_kept_for_the_owner_alone(side):
    """Its text, who is asked, and until when; the octets themselves for who wants to look."""
    digest, said = side.wait()

    [record] = side.approvals.pending()
    [file] = (side.folder / "approvals").iterdir()

    assert (digest, "soft/root", "ca-cert", 3) == (
        record.approval,
        record.key_name,
        record.kind,
        record.octets,
    )
    assert ("subject: x", 2, ("alice", "bob", "carol")) == (record.text, record.need, record.of)
    assert record.expires == side.clock() + limits.LIFE
    assert b"tbs" == side.approvals.octets(digest)
    assert 0o600 == file.stat().st_mode & 0o777
    assert 0o700 == file.parent.stat().st_mode & 0o777
    assert ["waiting"] == side.events()
    side.wait()
    assert ["waiting"] == side.events()
    assert said.startswith(b"hsm-agent approval v1\nagent: vault-a\n")


def test_two_of_three_approve(side):
    """Different kinds of proof, different people; each one is journaled."""
    digest, said = side.wait()
    side.approvals.add_proof(digest, "ssh", ALICE.sign(said))
    with pytest.raises(StillWaiting, match="1 of 2"):
        side.ask()
    side.approvals.add_proof(digest, "webauthn", cbor2.dumps(CAROL.prove(said)))

    assert ("alice", "carol") == side.ask()
    lines = [decode(line) for line in side.journal.lines(1, 99)]
    assert ["waiting", "approved", "approved"] == side.events()
    assert ["alice", "carol"] == [line["by"] for line in lines[1:]]
    assert {digest.hex()} == {line["tbs"] for line in lines}


def test_one_person_counts_once(side):
    """Proving twice, or holding one key under two names, is one approval."""
    side.people.approvers["mallory"] = Approver("mallory", "ed25519", raw_public(BOB))
    threshold = Approval(2, ("bob", "mallory", "alice"))
    digest, said = side.wait(threshold=threshold)
    for _ in range(3):
        side.approvals.add_proof(digest, "ed25519", BOB.sign(said))

    with pytest.raises(StillWaiting, match="1 of 2"):
        side.ask(threshold=threshold)
    assert ["waiting", "approved"] == side.events()
    del side.people.approvers["bob"]
    side.approvals.add_proof(digest, "ed25519", BOB.sign(said))
    side.people.approvers["bob"] = APPROVERS["bob"]
    with pytest.raises(StillWaiting, match="1 of 2"):
        side.ask(threshold=threshold)


def test_an_approval_is_for_these_octets_alone(side):
    """One octet, another kind, another key or agent: another statement."""
    digest, said = side.wait(b"tbs", Approval(1, ("bob",)))
    other, _ = side.wait(b"tbt", Approval(1, ("bob",)))

    with pytest.raises(ProofRefused, match="none of the approvers"):
        side.approvals.add_proof(other, "ed25519", BOB.sign(said))
    side.approvals.add_proof(digest, "ed25519", BOB.sign(said))
    assert ("bob",) == side.ask(b"tbs", Approval(1, ("bob",)))
    with pytest.raises(StillWaiting):
        side.ask(b"tbt", Approval(1, ("bob",)))
    for change in ({"key": bytes(32)}, {"kind": "csr"}):
        with pytest.raises(TooManyWait, match="another key or kind"):
            side.ask(b"tbs", Approval(1, ("bob",)), **change)


def test_only_those_who_are_asked_approve(side):
    """An approver of another key, or the operator where people afar are asked."""
    digest, said = side.wait(threshold=Approval(1, ("alice",)))

    with pytest.raises(ProofRefused, match="bob is not asked"):
        side.approvals.add_proof(digest, "ed25519", BOB.sign(said))
    with pytest.raises(ProofRefused, match="local is not asked"):
        side.approvals.add_proof(digest, "local", b"")
    with pytest.raises(NotThere):
        side.approvals.add_proof(bytes(32), "ed25519", BOB.sign(said))
    assert ["waiting"] == side.events()


def test_the_operator_approves_at_the_host(side):
    """Without a key: whoever is at the agent."""
    digest, _ = side.wait(threshold=LOCAL)
    side.approvals.add_proof(digest, "local", b"")

    assert ("local",) == side.ask(threshold=LOCAL)


def test_what_was_declined_is_refused_until_it_expires(side):
    """The octets are gone; their hash is remembered, also over a restart."""
    digest, said = side.wait()
    side.approvals.decline(digest)
    side.open()

    with pytest.raises(Declined):
        side.ask()
    with pytest.raises(NotThere):
        side.approvals.add_proof(digest, "ed25519", BOB.sign(said))
    with pytest.raises(NotThere):
        side.approvals.octets(digest)
    assert [] == list(side.approvals.pending())
    assert ["waiting", "declined"] == side.events()
    side.clock.now += limits.LIFE + 1
    side.wait()


def test_nothing_waits_for_ever(side):
    """After its life it is gone with its approvals."""
    digest, _ = side.wait(threshold=LOCAL)
    side.approvals.add_proof(digest, "local", b"")
    side.clock.now += limits.LIFE + 1

    assert [] == list(side.approvals.pending())
    assert [] == list((side.folder / "approvals").iterdir())
    with pytest.raises(StillWaiting):
        side.ask(threshold=LOCAL)


def test_what_is_signed_waits_no_longer(side):
    """Forgotten once, and nothing happens the second time."""
    digest, _ = side.wait()
    side.approvals.forget(digest)
    side.approvals.forget(digest)

    assert [] == list(side.approvals.pending())


def test_only_so_much_waits(side, monkeypatch):
    """A server that asks for everything fills neither the disk nor the operator's list."""
    monkeypatch.setattr(limits, "MOST_WAITING", 4)
    monkeypatch.setattr(limits, "MOST_WAITING_OF_A_KEY", 2)
    monkeypatch.setattr(limits, "LARGEST", 100)
    monkeypatch.setattr(limits, "MOST_OCTETS", 150)

    def ask(octets, key):
        with pytest.raises(StillWaiting):
            side.ask(octets, key=bytes([key]) * 32)

    with pytest.raises(TooManyWait, match="101 octets"):
        side.ask(b"x" * 101)
    ask(b"1", 1)
    ask(b"2", 1)
    with pytest.raises(TooManyWait, match="too many"):
        side.ask(b"3", key=b"\1" * 32)
    ask(b"3" * 99, 2)
    with pytest.raises(TooManyWait, match="too much"):
        side.ask(b"4" * 99, key=b"\3" * 32)
    ask(b"4", 3)
    with pytest.raises(TooManyWait, match="too many"):
        side.ask(b"5", key=b"\4" * 32)
    ask(b"1", 1)
    assert 4 == len(side.approvals.pending())
