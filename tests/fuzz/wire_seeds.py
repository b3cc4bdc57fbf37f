"""One good message of every type, and the frames, bundles and codes that hold them."""

from dataclasses import replace
from functools import cache

from hsm_agent.identity.channel_keys import new_frame_key, written
from hsm_agent.structures.kinds import PROOF_LABEL
from hsm_agent.wire.bundles import (
    ANSWERS,
    MAGIC,
    REGISTRATION,
    REQUESTS,
    Bundle,
    registration_session_id,
    seal_for_bundle,
)
from hsm_agent.wire.channel_kinds import TLS_KINDS, Abilities
from hsm_agent.wire.encoding import encode
from hsm_agent.wire.enrollment_code import EnrollmentCode
from hsm_agent.wire.frame_kinds import FRAME_KINDS, LARGEST_SIGNATURE, frame_pin
from hsm_agent.wire.messages import (
    Approve,
    Context,
    Done,
    Drain,
    Enroll,
    Enrolled,
    Generate,
    Goodbye,
    Inventory,
    JournalLines,
    JournalRead,
    Key,
    Mark,
    Ping,
    Pong,
    PutCertificate,
    Refused,
    Relay,
    Relayed,
    Sign,
    Signed,
    Store,
)
from hsm_agent.wire.openings import AgentOpening, NodeOpening
from hsm_agent.wire.session import relay_session_id, seal
from pikaserver.testing.throw_away import spki, throw_away_key
from pikaserver_agents.line import request_hash
from tests.fuzz.agent_end import NODE, NODE_KEY, OTHER, OTHER_KEY, agent_end
from tests.fuzz.server_end import ASKED, payload, server_end
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.structures_to_sign import (
    ANY_SPKI,
    authority_tbs,
    crl_tbs,
    csr_tbs,
    leaf_tbs,
)

MARK = Mark(7, bytes(32))
WHY = Context("issuing", "certificate", "0193", "ra-1")


def _identifier(number):
    return number.to_bytes(16, "big")


def requests(end):
    """Return everything that a server may ask for, of an agent's end."""
    late = end.now + 60_000
    sign = Sign(_identifier(1), end.issuing, "ecdsa-sha256", leaf_tbs(end.now), late, WHY)
    inner = seal(
        relay_session_id(OTHER.frame_key, end.identity.frame_public),
        1,
        end.now,
        [replace(sign, id=_identifier(9))],
        OTHER_KEY.sign,
    )
    return [
        sign,
        replace(sign, id=_identifier(2), tbs=crl_tbs(end.now)),
        replace(sign, id=_identifier(3), key=end.root, tbs=authority_tbs(end.now)),
        replace(sign, id=_identifier(4), tbs=b"\x31\x03\x30\x01\x00", content=b"content"),
        Generate(_identifier(5), "soft/new", "ec-p256", "issuing", late, WHY),
        PutCertificate(_identifier(6), end.issuing, (b"0\0", b"0\0"), late),
        Approve(_identifier(7), bytes(32), "ssh", b"-----BEGIN SSH SIGNATURE-----\n", late),
        JournalRead(_identifier(8), 1, 5),
        Relay(_identifier(9), 2, inner.octets()),
    ]


def from_server():
    """Return everything that a server says on a line."""
    end = agent_end()
    return [
        *requests(end),
        end.welcome(),
        Ping(),
        Drain(),
        Enrolled("vault-a", (NODE, OTHER)),
        Goodbye("stopping", b"the server stops"),
    ]


def from_agent():
    """Return everything that an agent says on a line; some of it answers what was asked."""
    end = server_end()
    digest = request_hash(ASKED)
    key = Key("hsm/issuing", "ec-p256", ANY_SPKI, ("ecdsa-sha256",), "ready", details={"a": "b"})
    store = Store("hsm", "pkcs11", "ready", ("ec-p256",), ("any",), {"serial": "1"})
    other = throw_away_key(end.server.entropy)
    return [
        Pong(end.now, 0, MARK),
        Inventory(bytes(32), (key, replace(key, name="hsm/b", public_key=spki(other))), (store,)),
        Signed(ASKED.id, digest, bytes(64), MARK),
        Refused(ASKED.id, digest, "policy", b"no", False, 0, MARK, bytes(32)),  # noqa: FBT003 - as on the wire
        Done(ASKED.id, digest, MARK, (key,)),
        JournalLines(ASKED.id, digest, (b'{"event":"start"}',), MARK),
        Relayed(ASKED.id, b"frame"),
        Drain(),
        Goodbye("stopping", b"the agent stops"),
        replace(end.hello(), keys=(key,), stores=(store,)),
        end.enroll(bytes(16)),
    ]


def enrollment():
    """Return what somebody unknown says."""
    return server_end().enroll(bytes(16))


@cache
def server_payloads():
    """Return payloads of a server's second frame, one message each, and one with many."""
    now = agent_end().now
    found = [[message] for message in from_server()]
    return [encode(payload(some, now, 2)) for some in [*found, requests(agent_end())]]


@cache
def agent_payloads():
    """Return payloads of an agent's second frame, one message each, and one with many."""
    now = server_end().now
    messages = from_agent()
    return [encode(payload(some, now, 2)) for some in [*([one] for one in messages), messages[:6]]]


def hello_payload():
    """Return the payload of an agent's first frame."""
    end = server_end()
    return encode(payload([end.hello()], end.now, 1))


@cache
def request_bundles():
    """Return bundles that are carried to an agent."""
    end = agent_end()
    session = relay_session_id(NODE.frame_key, end.identity.frame_public)
    frames = tuple(
        (NODE.frame_key, seal_for_bundle(session, 10 + n, end.now, [one], NODE_KEY.sign).octets())
        for n, one in enumerate(requests(end)[:8])
    )
    return [Bundle(REQUESTS, "vault-a", frames).octets(), Bundle(REQUESTS, "x", ()).octets()]


@cache
def answer_bundles():
    """Return bundles that are carried to a server."""
    end = server_end()
    node = end.office.identity.node
    session = relay_session_id(node.frame_key, end.identity.frame_public)
    sign = end.identity.frame_key.sign
    frame = seal_for_bundle(session, 3, end.now, from_agent()[1:6], sign).octets()
    return [Bundle(ANSWERS, "vault-a", ((node.frame_key, frame),)).octets()]


@cache
def registrations():
    """Return bundles by which agents register."""
    end = server_end()
    token = bytes(16)
    session = registration_session_id(token)
    messages = [Enroll(token, "vault-z", *_identity_of(end), "f", (1,))]
    frame = seal_for_bundle(session, 1, end.now, messages, end.identity.frame_key.sign)
    return [Bundle(REGISTRATION, "vault-z", ((b"", frame.octets()),)).octets()]


def _identity_of(end):
    return end.identity.certificate, end.identity.frame_public


def frame_keys():
    """Return frame keys of every kind."""
    return [written(new_frame_key(kind)) for kind in FRAME_KINDS]


def agent_openings():
    """Return how agents open a line of version 2."""
    able = Abilities(TLS_KINDS, tuple(FRAME_KINDS))
    return [AgentOpening(bytes(32), frame_pin(key), able).octets() for key in frame_keys()]


def node_openings():
    """Return how nodes answer, one that has no such key too."""
    proof = bytes(LARGEST_SIGNATURE)
    return [NodeOpening(bytes(32), key, proof).octets() for key in (b"", *frame_keys())]


def codes():
    """Return enrolment codes."""
    node = ("127.0.0.1:8444",), (bytes(32),), (bytes(32),)
    pins = (*node[:2], (frame_pin(frame_keys()[-1]),))
    found = (EnrollmentCode("vault-a", bytes(16), *one) for one in (node, pins))
    return [code.text().encode() for code in found]


def bare(files):
    """Return bundles without the line that names their format."""
    return [octets.removeprefix(MAGIC) for octets in files]


def everything():
    """Return one message of every type, or more."""
    return [*from_server(), *from_agent()]


def welcomes():
    """Return payloads of a server's first frame."""
    end = agent_end()
    found = [end.welcome(), Goodbye("locked", b"no"), Ping()]
    return [encode(payload([one], end.now, 1)) for one in found]


def enrolled():
    """Return payloads of a server's one answer to somebody who enrols."""
    end = agent_end()
    found = [Enrolled("vault-a", (NODE, OTHER)), Goodbye("enrollment", b"no such code")]
    return [encode(payload([one], end.now, 1)) for one in found]


def hellos():
    """Return payloads of an agent's first frame."""
    end = server_end()
    greeting = from_agent()[-2]
    return [encode(payload([one], end.now, 1)) for one in (greeting, end.hello(), Drain())]


def enrollments():
    """Return payloads of somebody unknown."""
    end = server_end()
    return [encode(payload([end.enroll(bytes(16))], end.now, 1))]


def structures():
    """Return what keys may be asked to sign, allowed or not."""
    now = agent_end().now
    return [
        leaf_tbs(now),
        leaf_tbs(now, ca=True, serial=8),
        authority_tbs(now),
        crl_tbs(now),
        csr_tbs(),
        made.answer(),
        made.scep(),
        made.tst_info(),
        PROOF_LABEL + bytes(32),
    ]


def certificates():
    """Return certificates that a server may bring for a key."""
    return [made.CA_CERTIFICATE, made.Made().signed()]


def journal_lines():
    """Return the first line of a journal."""
    return list(agent_end().side.journal.lines(1, 1))
