"""One key under one policy that is asked again and again, and what it remembers."""

import hashlib
from collections import Counter

from hsm_agent.policy.decide import decide
from hsm_agent.policy.memory import CrlMark
from hsm_agent.policy.policy import read_policy
from hsm_agent.policy.starter import starter
from hsm_agent.policy.verdicts import Allowed, Asked, Denied, NeedsApproval
from hsm_agent.structures.classify import classify
from hsm_agent.structures.crl import TbsCertList
from tests.hsm_agent.made_structures import CA_CERTIFICATE, CA_KEY, CA_SPKI, NOW, spki


class Remembered:
    """A memory of what was allowed; implements ``hsm_agent.policy.memory.Memory``."""

    def __init__(self):
        self.serials = {}
        self.crls = {}
        self.listed = {}
        self.ends = {}
        self.signed = []
        self.first = {}

    def serial_use(self, key, serial):
        return self.serials.get((key, serial))

    def last_crl(self, key, scope):
        return self.crls.get((key, scope))

    def dropped(self, key, scope, serials, at):
        there = {int.from_bytes(serial, "big") for serial in serials}
        before = self.listed.get((key, scope), set())
        return [one for one in before - there if self.ends.get((key, one), at) >= at]

    def signed_since(self, key, since, but):
        seen = {(kind, tbs) for of, at, kind, tbs in self.signed if of == key and at >= since}
        return Counter(kind for kind, tbs in seen if tbs != but)

    def self_signed_before(self, key):
        return self.first.get(key)

    def remember(self, asked, structure, facts):
        """Take note of what was allowed."""
        self.signed.append((asked.key, asked.now, facts["kind"], asked.tbs_hash))
        if "serial" in facts:
            self.serials[asked.key, structure.serial] = asked.tbs_hash
            self.ends[asked.key, structure.serial] = structure.not_after
        if facts["kind"] == "self-signed":
            self.first.setdefault(asked.key, asked.tbs_hash)
        if isinstance(structure, TbsCertList):
            mark = CrlMark(structure.number, structure.this_update, asked.tbs_hash)
            self.crls[asked.key, structure.scope] = mark
            lasting = {int.from_bytes(serial, "big") for serial in structure.lasting()}
            self.listed[asked.key, structure.scope] = lasting


class Agent:
    """One key under one policy, asked again and again."""

    def __init__(self, policy=None, profile="issuing", issuer=CA_CERTIFICATE, above=None):
        self.policy = read_policy((policy or starter("test")).encode())
        self.rules = self.policy.rules("hsm/key", CA_SPKI, profile)
        self.memory = Remembered()
        self.issuer = issuer
        self.above = above
        self.now = NOW

    def ask(self, tbs, content=b"", algorithm="ecdsa-sha256", private=CA_KEY):
        """Return the verdict; what is allowed is remembered."""
        structure = classify(tbs, content)
        asked = Asked(
            key=hashlib.sha256(spki(private)).digest(),
            public_key=spki(private),
            algorithm=algorithm,
            tbs_hash=hashlib.sha256(tbs).digest(),
            issuer=self.issuer,
            now=self.now,
            above=self.above,
        )
        verdict = decide(self.rules, structure, asked, self.memory)
        if isinstance(verdict, Allowed):
            self.memory.remember(asked, structure, verdict.facts)
        return verdict

    def approve(self, tbs):
        """Take note that it was allowed after approvals."""
        verdict = self.ask(tbs)
        assert isinstance(verdict, NeedsApproval)
        structure = classify(tbs)
        asked = Asked(
            hashlib.sha256(CA_SPKI).digest(),
            CA_SPKI,
            "ecdsa-sha256",
            hashlib.sha256(tbs).digest(),
            self.issuer,
            self.now,
        )
        self.memory.remember(asked, structure, verdict.facts)


def refused(verdict, why):
    """Assert a refusal by rule for this reason."""
    assert isinstance(verdict, Denied)
    assert "policy" == verdict.code
    assert why in verdict.why


def refuses(agent, tbs, why):
    """Assert that it is refused for this reason, and that nothing is remembered."""
    before = list(agent.memory.signed)

    refused(agent.ask(tbs), why)

    assert before == agent.memory.signed
