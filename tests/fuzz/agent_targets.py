"""Everything that agent and server hear from each other, and all that people carry to them.

The ends that hear it are real ones (``agent_end``, ``server_end``): what is wrong ends a line, is
refused or complained of; nothing else is raised, nothing is signed that the policy forbids.
"""

import struct
from collections.abc import Mapping

from hsm_agent.approvals.faults import ProofRefused
from hsm_agent.approvals.ssh_signature import SshSignature
from hsm_agent.approvals.webauthn import Assertion
from hsm_agent.faults import AgentFault
from hsm_agent.identity.identity import frame_verifier as agents_verifier
from hsm_agent.journal.line import BEGINNING, BrokenLine
from hsm_agent.journal.line import follow as follow_own
from hsm_agent.wire.bundles import MAGIC
from hsm_agent.wire.codec import from_map, to_map
from hsm_agent.wire.encoding import decode, encode
from hsm_agent.wire.enrollment_code import PREFIX, EnrollmentCode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.messages import PutCertificate, Sign
from hsm_agent.wire.openings import AgentOpening, NodeOpening
from pikaserver.api.errors import MalformedRequest, NotAuthenticated, PikaserverError
from pikaserver_agents.frame_keys import frame_verifier as nodes_verifier
from pikaserver_agents.journals import Contradiction, follow
from tests.fuzz import wire_seeds
from tests.fuzz.agent_end import agent_end, check_signed
from tests.fuzz.server_end import server_end
from tests.fuzz.target import Target
from tests.hsm_agent.authenticators import Passkey, SecurityKey, in_json

MALFORMED = (WireError,)
STATEMENT = b"hsm-agent approval v1\n"
_DER_WORDS = (
    b"\x30\x80",
    b"\0\0",
    b"\x01\x01\xff",
    b"\x02\x01\0",
    b"\xa3\0",
    b"\x06\x03\x55\x1d\x13",
)
_JSON_WORDS = (b"[" * 3000, b"1e999", b"\\ud800", b"null", b'"i":1', b"{}", b"\0", b"9" * 5000)


def _value(octets: bytes) -> None:
    """What is read is written again as it was, octet for octet."""
    assert encode(decode(octets)) == octets


def _message(octets: bytes) -> None:
    message = from_map(decode(octets))
    assert encode(to_map(message)) == octets


def _frame(octets: bytes) -> None:
    """Feed an agent any octets behind a greeting; they may hold frames of any sequence."""
    agent_end().raw(octets)


def _frame_key(octets):
    """Both sides say the same of a frame key."""
    found = []
    for verifier in (agents_verifier, nodes_verifier):
        try:
            found.append(bool(verifier(octets)))
        except WireError:
            found.append(False)
    assert found[0] == found[1]
    agents_verifier(octets)


def _requests(octets: bytes) -> None:
    agent_end().carried(MAGIC + octets)


def _answers(octets: bytes) -> None:
    server_end().office.bundles.import_(MAGIC + octets, "fuzz")


def _registration(octets: bytes) -> None:
    """Read a registration to its end, where its code turns out to be none."""
    office = server_end().office
    try:
        office.bundles.register(MAGIC + octets, office.enrollments)
    except NotAuthenticated:
        return


def _tbs(octets: bytes) -> None:
    """Ask the issuing key for these octets, and the root's key too."""
    end = agent_end()
    for key in (end.issuing, end.root):
        wish = Sign(bytes(16), key, "ecdsa-sha256", octets, end.now + 60_000, wire_seeds.WHY)
        answer = end.ask(wish)
        if answer.__class__.__name__ == "Signed":
            check_signed(wish, end.now)


def _certificate(octets: bytes) -> None:
    end = agent_end()
    end.ask(PutCertificate(bytes(16), end.issuing, (octets,), end.now + 60_000))


def _ssh(octets: bytes) -> None:
    SshSignature.read(octets).verify(STATEMENT)


def _webauthn(octets: bytes) -> None:
    Assertion.read(octets).verify(STATEMENT, _PASSKEY.spki, _PASSKEY.rp_id, [_PASSKEY.origin])


def _journal_line(octets: bytes) -> None:
    """Read one line as both sides do; what the agent believes, the server believes, too."""
    follow_own(BEGINNING, octets)
    follow(BEGINNING, octets)


_PASSKEY = Passkey()


def _proofs() -> list[bytes]:
    return [in_json(_PASSKEY.prove(STATEMENT)), in_json(_PASSKEY.prove(STATEMENT), nested=True)]


def _framed() -> list[bytes]:
    end = agent_end()
    return [end.framed(octets) for octets in wire_seeds.server_payloads()]


def _framed_by_agent() -> list[bytes]:
    """Their session is none that a line has: what changes here is the frame about it."""
    end = server_end()
    found = [end.framed(octets) for octets in wire_seeds.agent_payloads()]
    return [*found, bytes(4), b"\0\0\0\x02\x82\x40"]


AGENT_TARGETS: Mapping[str, Target] = {
    "agent-value": Target(_value, MALFORMED, wire_seeds.server_payloads, is_cbor=True),
    "agent-message": Target(
        _message,
        MALFORMED,
        lambda: [encode(to_map(one)) for one in wire_seeds.everything()],
        is_cbor=True,
    ),
    "agent-hears": Target(
        lambda octets: agent_end().told(octets), (), wire_seeds.server_payloads, is_cbor=True
    ),
    "agent-greeted": Target(
        lambda octets: agent_end().greeted(octets), (), wire_seeds.welcomes, is_cbor=True
    ),
    "agent-octets": Target(
        _frame, (), _framed, (bytes(4), struct.pack(">I", 1 << 24), b"\xff" * 4, b"\x9f", b"\xbf")
    ),
    "server-hears": Target(
        lambda octets: server_end().told(octets, first=wire_seeds.hello_payload()),
        (),
        wire_seeds.agent_payloads,
        is_cbor=True,
    ),
    "server-greeted": Target(
        lambda octets: server_end().told(octets), (), wire_seeds.hellos, is_cbor=True
    ),
    "server-newcomer": Target(
        lambda octets: server_end().told(octets, known=False),
        (),
        wire_seeds.enrollments,
        is_cbor=True,
    ),
    "server-octets": Target(
        lambda octets: server_end().raw(octets, wire_seeds.hello_payload()),
        (),
        _framed_by_agent,
    ),
    "agent-bundle": Target(
        _requests, MALFORMED, lambda: wire_seeds.bare(wire_seeds.request_bundles()), is_cbor=True
    ),
    "server-bundle": Target(
        _answers,
        (MalformedRequest, PikaserverError),
        lambda: wire_seeds.bare(wire_seeds.answer_bundles()),
        is_cbor=True,
    ),
    "registration": Target(
        _registration,
        (PikaserverError,),
        lambda: wire_seeds.bare(wire_seeds.registrations()),
        is_cbor=True,
    ),
    "enrollment-code": Target(
        lambda octets: EnrollmentCode.read(octets.decode("utf-8", "surrogateescape")),
        MALFORMED,
        wire_seeds.codes,
        (PREFIX.encode(), b"=", b"-", b"_", b"\n"),
    ),
    "agent-opening": Target(AgentOpening.of, MALFORMED, wire_seeds.agent_openings, is_cbor=True),
    "node-opening": Target(NodeOpening.of, MALFORMED, wire_seeds.node_openings, is_cbor=True),
    "frame-key": Target(_frame_key, MALFORMED, wire_seeds.frame_keys),
    "agent-tbs": Target(_tbs, (), wire_seeds.structures, _DER_WORDS, is_der=True),
    "agent-certificate": Target(_certificate, (), wire_seeds.certificates, _DER_WORDS, is_der=True),
    "ssh-proof": Target(
        _ssh,
        (ProofRefused,),
        lambda: [SecurityKey(kind).sign(STATEMENT) for kind in ("ed25519", "ecdsa")],
        (b"-----BEGIN SSH SIGNATURE-----", b"AAAA", b"\n", b"="),
    ),
    "webauthn-proof": Target(_webauthn, (ProofRefused,), _proofs, _JSON_WORDS),
    "journal-line": Target(
        _journal_line, (BrokenLine, Contradiction), wire_seeds.journal_lines, _JSON_WORDS
    ),
    "mirrored-line": Target(
        lambda octets: follow(BEGINNING, octets),
        (Contradiction,),
        wire_seeds.journal_lines,
        _JSON_WORDS,
    ),
    "agent-enrolls": Target(
        lambda octets: agent_end().enrolled(octets),
        (AgentFault,),
        wire_seeds.enrolled,
        is_cbor=True,
    ),
}
