"""Approvals in a folder, and three people who may give them."""

import hashlib
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hsm_agent.approvals.approvals import Approvals, Wanted
from hsm_agent.approvals.faults import StillWaiting
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.line import decode
from hsm_agent.policy.policy import Approver
from hsm_agent.policy.verdicts import Approval
from tests.hsm_agent.authenticators import Passkey, SecurityKey, raw_public
from tests.hsm_agent.journals import Clock

KEY = b"\x07" * 32
ALICE, BOB, CAROL = SecurityKey(), Ed25519PrivateKey.generate(), Passkey("EdDSA")
APPROVERS = {
    "alice": Approver("alice", "ssh", ALICE.blob),
    "bob": Approver("bob", "ed25519", raw_public(BOB)),
    "carol": Approver("carol", "webauthn", CAROL.spki, CAROL.rp_id, (CAROL.origin,)),
}
TWO_OF_THREE = Approval(2, ("alice", "bob", "carol"))


@dataclass
class People:
    """The part of a policy that approvals look at."""

    approvers: dict


class Waiting:
    """Approvals in a folder, with their journal."""

    def __init__(self, folder):
        self.folder = folder
        self.clock = Clock()
        self.people = People(dict(APPROVERS))
        self.journal = Journal(folder / "journal", self.clock)
        self.open()

    def open(self):
        self.approvals = Approvals(
            self.folder / "approvals", "vault-a", lambda: self.people, self.journal, self.clock
        )

    def ask(self, octets=b"tbs", threshold=TWO_OF_THREE, key=KEY, kind="ca-cert"):
        return self.approvals.ask(Wanted(key, "soft/root", kind, octets, "subject: x", threshold))

    def wait(self, octets=b"tbs", threshold=TWO_OF_THREE):
        """Let octets wait; return their hash and statement."""
        with pytest.raises(StillWaiting):
            self.ask(octets, threshold)
        digest = hashlib.sha256(octets).digest()
        [record] = [one for one in self.approvals.pending() if one.approval == digest]
        return digest, record.statement

    def events(self):
        return [decode(line)["event"] for line in self.journal.lines(1, 99)]
