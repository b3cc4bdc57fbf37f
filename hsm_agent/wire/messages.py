"""What server and agent say to each other; one dataclass for each type of message.

A = from the agent, S = from the server.  Every request has an ``id`` of 16 random octets, and its
answer repeats it together with ``request``, the SHA-256 of the request as it was encoded: no
answer fits another question.  Times are milliseconds since 1970.
"""

from dataclasses import dataclass, field

PROTOCOL = 1
"""The version that every side speaks; it knows Ed25519 frame keys only."""
VERSIONS = (1, 2)
"""All versions; TLS chooses one (`hsm_agent.wire.openings.ALPN`), `Welcome` repeats it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the agent's journal: how many lines, and the SHA-256 of the last one."""

    index: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """What an agent tells of one of its keys.

    ``name`` is ``STORE/LABEL``; ``public_key`` is SubjectPublicKeyInfo in DER; ``algorithms``
    are those that the policy allows, by the names of ``pikaserver.asn1.algorithms``; ``state``
    is ``ready``, ``absent``, ``pin-needed``, ``pin-locked`` or ``no-policy``; ``certificate`` is
    the SHA-256 of the authority's certificate that the agent holds for it, or empty; ``trial``
    marks a store that protects nothing; ``details`` are for people: origin, serial, firmware.
    """

    name: str
    key_type: str
    public_key: bytes
    algorithms: tuple[str, ...]
    state: str
    certificate: bytes = b""
    attestation: tuple[bytes, ...] = ()
    trial: bool = False
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Store:
    """A place for keys that an agent offers; ``free`` names slots or says ``any``."""

    name: str
    kind: str
    state: str
    key_types: tuple[str, ...]
    free: tuple[str, ...] = ()
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the server: where it listens, the SHA-256 of its TLS key, its frame key.

    On the line ``frame_key`` is the key; an agent may know no more of it than its pin, see
    `hsm_agent.wire.frame_kinds`.
    """

    number: int
    address: str
    pin: bytes
    frame_key: bytes


@dataclass(frozen=True, slots=True)
class Context:
    """Why a signature is asked for: for people and journals, never for a decision."""

    authority: str = ""
    purpose: str = ""
    request: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Enroll:
    """A: register me.  The frame is signed with ``frame_key``, which it brings itself."""

    token: bytes
    agent: str
    certificate: bytes
    frame_key: bytes
    software: str
    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Enrolled:
    """S: you are registered; these are the nodes."""

    agent: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Hello:
    """A: the first message of every line."""

    versions: tuple[int, ...]
    agent: str
    software: str
    policy: bytes
    journal: Mark
    window: int
    keys: tuple[Key, ...]
    stores: tuple[Store, ...]


@dataclass(frozen=True, slots=True)
class Welcome:
    """S: the answer to `Hello`; ``journal`` is the mark that the server stored last."""

    version: int
    node: int
    nodes: tuple[Node, ...]
    heartbeat: int
    dead: int
    journal: Mark


@dataclass(frozen=True, slots=True)
class Ping:
    """S: are you there?  It renews the agent's right to sign for this line until ``dead``."""


@dataclass(frozen=True, slots=True)
class Pong:
    """A: the answer; ``waiting`` counts requests that are not answered yet."""

    of: int
    """The time of the frame that brought the `Ping`."""
    waiting: int
    journal: Mark


@dataclass(frozen=True, slots=True)
class Inventory:
    """A: keys and stores as they are now; sent after every change."""

    policy: bytes
    keys: tuple[Key, ...]
    stores: tuple[Store, ...]


@dataclass(frozen=True, slots=True)
class Sign:
    """S: sign these octets.

    ``key`` is the SHA-256 of its SubjectPublicKeyInfo; ``content`` is what signed attributes
    stand for (a TSTInfo), empty where there is none; after ``expires`` nothing is signed.
    """

    id: bytes
    key: bytes
    algorithm: str
    tbs: bytes
    expires: int
    context: Context
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Signed:
    """A: the signature as X.509 carries it, and the mark of its line in the journal."""

    id: bytes
    request: bytes
    signature: bytes
    journal: Mark


@dataclass(frozen=True, slots=True)
class Refused:
    """A: no.  ``code`` is one of `hsm_agent.wire.refusals.REFUSALS`.

    ``retry`` says whether asking again can help, ``after`` in how many milliseconds;
    ``approval`` is the SHA-256 of the octets that wait for approvals, else empty.
    """

    id: bytes
    request: bytes
    code: str
    why: bytes
    retry: bool
    after: int
    journal: Mark
    approval: bytes = b""


@dataclass(frozen=True, slots=True)
class Generate:
    """S: make a key.  ``profile`` names the rules that it shall live under, from the policy."""

    id: bytes
    name: str
    key_type: str
    profile: str
    expires: int
    context: Context
    pin_policy: str = ""
    touch_policy: str = ""


@dataclass(frozen=True, slots=True)
class PutCertificate:
    """S: this is the authority's certificate over that key, with the chain above it."""

    id: bytes
    key: bytes
    certificates: tuple[bytes, ...]
    expires: int


@dataclass(frozen=True, slots=True)
class Approve:
    """S: somebody approved the octets of that hash; ``proof`` convinces the agent alone."""

    id: bytes
    approval: bytes
    kind: str
    proof: bytes
    expires: int


@dataclass(frozen=True, slots=True)
class Done:
    """A: it is done; ``keys`` holds the key that was made, if one was."""

    id: bytes
    request: bytes
    journal: Mark
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalRead:
    """S: give me lines of the journal, both ends included, counted from 1."""

    id: bytes
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class JournalLines:
    """A: as many of the lines as fit a frame, from the first one on."""

    id: bytes
    request: bytes
    lines: tuple[bytes, ...]
    journal: Mark


@dataclass(frozen=True, slots=True)
class Drain:
    """Both: I take nothing new; what runs still ends."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Both: the line closes now, and this is why."""

    code: str
    why: bytes


@dataclass(frozen=True, slots=True)
class Relay:
    """S: a frame of another node, which has no line of its own to this agent."""

    id: bytes
    node: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Relayed:
    """A: the answering frame, for the node that asked."""

    id: bytes
    frame: bytes


_Once = Enroll | Enrolled | Hello | Welcome
_Line = Ping | Pong | Inventory | Drain | Goodbye | Relay | Relayed
_Requests = Sign | Generate | PutCertificate | Approve | JournalRead
_Answers = Signed | Refused | Done | JournalLines

Message = _Once | _Line | _Requests | _Answers
