"""What a signing agent in a test answers: software keys, a journal, and no policy at all."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_agent.wire.codec import to_map
from hsm_agent.wire.encoding import encode
from hsm_agent.wire.messages import (
    Approve,
    Done,
    Generate,
    JournalLines,
    JournalRead,
    Key,
    Mark,
    PutCertificate,
    Refused,
    Sign,
    Signed,
    Store,
)
from hsm_agent.wire.refusals import REFUSALS
from pikaserver.asn1.algorithms import KEY_TYPES, SIGNATURE_ALGORITHMS
from pikaserver.signing.software_signers import make_signer

Request = Sign | Generate | PutCertificate | Approve | JournalRead
Answer = Signed | Refused | Done | JournalLines

STORE = "soft"
_GENERATORS: Mapping[str, Callable[[], PrivateKeyTypes]] = {
    "ec-p256": partial(ec.generate_private_key, ec.SECP256R1()),
    "ec-p384": partial(ec.generate_private_key, ec.SECP384R1()),
    "rsa-2048": partial(rsa.generate_private_key, 65_537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
}


@dataclass(slots=True)
class FakeKey:
    """One key; ``state`` and ``certificate`` may be changed by a test."""

    name: str
    key_type: str
    private: PrivateKeyTypes
    state: str = "ready"
    certificates: tuple[bytes, ...] = ()

    @property
    def public_key(self) -> bytes:
        """SubjectPublicKeyInfo in DER."""
        return self.private.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def spki_hash(self) -> bytes:
        """By which the server calls it."""
        return hashlib.sha256(self.public_key).digest()

    @property
    def algorithms(self) -> tuple[str, ...]:
        """What it signs with."""
        families = KEY_TYPES[self.key_type].families
        return tuple(name for name, one in SIGNATURE_ALGORITHMS.items() if one.family in families)

    def told(self) -> Key:
        """Return what the agent tells of it."""
        held = hashlib.sha256(self.certificates[0]).digest() if self.certificates else b""
        return Key(
            name=self.name,
            key_type=self.key_type,
            public_key=self.public_key,
            algorithms=self.algorithms,
            state=self.state,
            certificate=held,
            trial=True,
            details={"origin": "generated"},
        )


class FakeDesk:
    """Answers requests; ``keys``, ``lines`` and the rest may be looked at and changed.

    ``needs_approval`` says which octets wait until somebody approves their hash.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.keys: dict[str, FakeKey] = {}
        self.lines: list[bytes] = []
        self.approved: set[bytes] = set()
        self.needs_approval: Callable[[Sign], bool] = lambda _request: False

    def make_key(self, name: str, key_type: str = "ec-p256") -> FakeKey:
        """Make a key; ``name`` is STORE/LABEL, or LABEL for the one store."""
        full = name if "/" in name else f"{STORE}/{name}"
        key = self.keys[full] = FakeKey(full, key_type, _GENERATORS[key_type]())
        return key

    def stores(self) -> tuple[Store, ...]:
        """Return the one store."""
        return (Store(STORE, "software", "ready", tuple(_GENERATORS), ("any",), {}),)

    def told(self) -> tuple[Key, ...]:
        """Return what the agent tells of its keys."""
        return tuple(key.told() for key in self.keys.values())

    def mark(self) -> Mark:
        """Return how long the journal is."""
        if not self.lines:
            return Mark(0, bytes(32))
        return Mark(len(self.lines), hashlib.sha256(self.lines[-1]).digest())

    def write(self, event: str, **fields: object) -> Mark:
        """Write a line of the journal."""
        mark = self.mark()
        line = {
            **fields,
            "event": event,
            "i": mark.index + 1,
            "prev": mark.head.hex(),
            "ts": self._now_ms(),
        }
        self.lines.append(json.dumps(line, sort_keys=True, separators=(",", ":")).encode())
        return self.mark()

    def answer(self, request: Request) -> Answer:
        """Do what is asked, or say why not."""
        digest = hashlib.sha256(encode(to_map(request))).digest()
        match request:
            case Sign():
                return self._sign(request)
            case Generate():
                return self._generate(request, digest)
            case PutCertificate():
                key = self._find(request.key)
                if key is None:
                    return self.refuse(request, "unknown-key", "no such key")
                key.certificates = request.certificates
                self.write("certificate", key=request.key.hex())
            case Approve():
                self.approved.add(request.approval)
                self.write("approved", tbs=request.approval.hex(), by=request.kind)
            case JournalRead(first=first, last=last):
                lines = tuple(self.lines[first - 1 : last])
                return JournalLines(request.id, digest, lines, self.mark())
        return Done(request.id, digest, self.mark())

    def refuse(self, request: Request, code: str, why: str, after: int = 0) -> Refused:
        """Return a refusal, and write it down."""
        digest = hashlib.sha256(encode(to_map(request))).digest()
        approval = b""
        if code == "approval-needed" and isinstance(request, Sign):
            approval = hashlib.sha256(request.tbs).digest()
        mark = self.write("refused", code=code, why=why)
        return Refused(
            request.id, digest, code, why.encode(), REFUSALS[code], after, mark, approval
        )

    def _sign(self, request: Sign) -> Answer:
        key = self._find(request.key)
        if key is None:
            return self.refuse(request, "unknown-key", "no such key")
        if key.state != "ready":
            return self.refuse(request, "token-absent", f"{key.name} is {key.state}")
        if self._now_ms() > request.expires:
            return self.refuse(request, "expired", "the request is too old")
        tbs_hash = hashlib.sha256(request.tbs).digest()
        if self.needs_approval(request) and tbs_hash not in self.approved:
            return self.refuse(request, "approval-needed", "one person has to agree")
        mark = self.write(
            "sign",
            alg=request.algorithm,
            key=request.key.hex(),
            kind=request.context.purpose,
            tbs=tbs_hash.hex(),
        )
        return self._signed(key, request, mark)

    def sign_with(self, key: FakeKey, request: Sign) -> Signed:
        """Sign with any key, whichever was asked for."""
        return self._signed(key, request, self.mark())

    def _signed(self, key: FakeKey, request: Sign, mark: Mark) -> Signed:
        digest = hashlib.sha256(encode(to_map(request))).digest()
        algorithm = SIGNATURE_ALGORITHMS[request.algorithm]
        signature = make_signer(key.private, algorithm, key.public_key).sign(request.tbs)
        self.write("signed", of=mark.index, signature=hashlib.sha256(signature).hexdigest())
        return Signed(request.id, digest, signature, mark)

    def _generate(self, request: Generate, digest: bytes) -> Answer:
        name = request.name if "/" in request.name else f"{STORE}/{request.name}"
        if name in self.keys:
            return self.refuse(request, "exists", f"there is a key {name}")
        if request.key_type not in _GENERATORS:
            return self.refuse(request, "unsupported", f"no keys of type {request.key_type}")
        key = self.make_key(name, request.key_type)
        mark = self.write("generated", key=key.spki_hash.hex(), name=name)
        return Done(request.id, digest, mark, (key.told(),))

    def _find(self, spki_hash: bytes) -> FakeKey | None:
        return next((key for key in self.keys.values() if key.spki_hash == spki_hash), None)
