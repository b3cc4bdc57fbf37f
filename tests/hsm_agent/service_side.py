"""A service with a store in memory, for tests: keys that are made at once and never slow."""

import hashlib
import os
from contextlib import ExitStack, contextmanager

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_agent.approvals.approvals import Approvals
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.line import decode
from hsm_agent.journal.memory import JournalMemory
from hsm_agent.keys.authority_certificates import AuthorityCertificates
from hsm_agent.keys.keyring import Keyring
from hsm_agent.policy.policy import read_policy
from hsm_agent.policy.starter import starter
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.service.service import Service
from hsm_agent.stores.store import KeyExists, StoredKey, StoreState, UnknownKey, Unsupported
from hsm_agent.wire.messages import Context, Generate, PutCertificate, Refused, Sign
from hsm_agent.wire.refusals import REFUSALS
from tests.hsm_agent.journals import Clock
from tests.hsm_agent.structures_to_sign import certificate, self_signed_tbs, with_signature

LINE = LineFacts(1, "line", lambda: True)
POLICY = starter("vault-a", dns=["example.com"])
WHY = Context(authority="issuing", purpose="leaf", request="0193", actor="ra-1")


def spki(key):
    """Return SubjectPublicKeyInfo and its SHA-256 of a private key."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return der, hashlib.sha256(der).digest()


class MemoryStore:
    """See ``hsm_agent.stores.store.Store``; ``signed`` lists what keys were used for."""

    kind = "software"
    trial = True

    def __init__(self):
        self.private = {}
        self.signed = []
        self.made = []
        self.before = lambda: None  # called with every key's use
        self.after_making = lambda: None
        self.spoil = lambda signature: signature
        self.state_of_keys = "ready"

    def state(self):
        return StoreState("ready", ("ec-p256", "ed25519"))

    def keys(self):
        return [self._stored(label) for label in sorted(self.private)]

    def sign(self, label, algorithm, data):
        if label not in self.private:
            raise UnknownKey(f"no {label}")
        self.before()
        self.signed.append((label, data))
        key = self.private[label]
        if algorithm == "ed25519":
            return self.spoil(key.sign(data))
        return self.spoil(key.sign(data, ec.ECDSA(hashes.SHA256())))

    def generate(self, wanted):
        makers = {
            "ec-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "ed25519": ed25519.Ed25519PrivateKey.generate,
        }
        if wanted.key_type not in makers:
            raise Unsupported(f"no {wanted.key_type} here")
        if wanted.label in self.private:
            raise KeyExists(wanted.label)
        self.private[wanted.label] = makers[wanted.key_type]()
        self.made.append(wanted)
        self.after_making()
        return self._stored(wanted.label)

    def import_key(self, wanted, pkcs8):
        raise Unsupported("nothing comes in here")

    def put_certificate(self, label, certificate):
        pass

    def close(self):
        pass

    def _stored(self, label):
        key = self.private[label]
        is_ec = isinstance(key, ec.EllipticCurvePrivateKey)
        return StoredKey(
            label,
            "ec-p256" if is_ec else "ed25519",
            spki(key)[0],
            ("ecdsa-sha256",) if is_ec else ("ed25519",),
            self.state_of_keys,
        )


class ServiceSide:
    """Everything round one service, in one folder; opened and closed as often as one likes."""

    def __init__(self, folder, clock=None, store=None, policy=POLICY):
        self.folder = folder
        self.clock = clock or Clock()
        self.store = store or MemoryStore()
        self.sync = os.fdatasync
        self.write_policy(policy)
        self._stack = ExitStack()
        self._numbers = iter(range(1, 1 << 30))
        with ExitStack() as stack:
            self.journal = Journal(folder / "journal", self.clock, self._sync)
            stack.callback(self.journal.close)
            self.memory = JournalMemory(self.journal, folder / "state")
            stack.callback(self.memory.close)
            self.keyring = Keyring({"soft": self.store}, AuthorityCertificates(folder / "certs"))
            self.keyring.refresh()
            self.approvals = Approvals(
                folder / "approvals", "vault-a", lambda: self.policy, self.journal, self.clock
            )
            self.service = Service(
                self.keyring,
                lambda: self.policy,
                self.journal,
                self.memory,
                self.approvals,
                self.clock,
            )
            stack.callback(self.service.close)
            self._stack = stack.pop_all()

    def _sync(self, file):
        self.sync(file)

    def write_policy(self, text):
        """Let other rules hold from now on."""
        self.policy = read_policy(text.encode())

    def close(self):
        self._stack.close()

    def lines(self, *events):
        """Return what the journal says, of these events or of all."""
        self.journal.append("test")
        found = [decode(line) for line in self.journal.lines(1, 1 << 40)]
        return [
            one
            for one in found
            if one["event"] != "test" and one["event"] in (events or one.values())
        ]

    def ask(self, request, line=LINE):
        return self.service.answer(request, line)

    def number(self):
        return next(self._numbers).to_bytes(16, "big")

    def generate(self, label="issuing", profile="issuing", key_type="ec-p256", **fields):
        """Ask for a key."""
        life = fields.pop("life", 60_000)
        wanted = (label, key_type, profile, self.clock() + life, WHY)
        return self.ask(Generate(self.number(), *wanted, **fields))

    def sign(self, key, tbs, algorithm="ecdsa-sha256", *, line=LINE, life=60_000, content=b""):
        """Ask for a signature."""
        request = Sign(self.number(), key, algorithm, tbs, self.clock() + life, WHY, content)
        return self.ask(request, line)

    def put(self, key, *certificates):
        return self.ask(PutCertificate(self.number(), key, certificates, self.clock() + 60_000))

    def authority(self, label="issuing"):
        """Make a key with an authority's certificate, signed by a root that the agent has not."""
        [made] = self.generate(label).keys
        root = ec.generate_private_key(ec.SECP256R1())
        key = hashlib.sha256(made.public_key).digest()
        der = certificate(root, self.clock(), subject=f"CN={label}", public_key=made.public_key)
        answer = self.put(key, der)
        assert answer.__class__.__name__ == "Done", answer
        return key

    def root(self, label="root"):
        """Make a root's key and let it sign its first certificate."""
        [made] = self.generate(label, "root").keys
        key = hashlib.sha256(made.public_key).digest()
        tbs = self_signed_tbs(made.public_key, self.clock(), f"CN={label}")
        signed = self.sign(key, tbs)
        self.put(key, with_signature(tbs, signed.signature))
        return key


@contextmanager
def service_side(folder, **options):
    side = ServiceSide(folder, **options)
    try:
        yield side
    finally:
        side.close()


def refused(side, answer, code):
    """Assert a refusal that its journal line tells too, and return what it says."""
    assert isinstance(answer, Refused), answer
    assert (code, REFUSALS[code]) == (answer.code, answer.retry)
    line = side.lines("refused")[-1]
    assert (code, answer.why.decode()) == (line["code"], line["why"])
    return answer.why.decode()
