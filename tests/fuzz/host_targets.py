"""What the host of an agent hands to it: its files, its cards, callers on its socket, a proxy.

Most of it only the host's owner can write; what is wrong is refused in words all the same.
"""

import base64
import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hsm_agent import clock
from hsm_agent.approvals.records import Records
from hsm_agent.channel.faults import NotReached
from hsm_agent.faults import AgentFault, SettingsFault
from hsm_agent.identity.identity import load_identity, make_identity
from hsm_agent.identity.nodes import read_nodes
from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.line import BrokenLine, decode, encode
from hsm_agent.journal.memory import JournalMemory
from hsm_agent.journal.reading import lines, read_tail
from hsm_agent.journal.verify import verify
from hsm_agent.keys.authority_certificates import AuthorityCertificates
from hsm_agent.policy.policy import PolicyFault, read_policy
from hsm_agent.policy.starter import starter
from hsm_agent.settings.settings import read_settings
from hsm_agent.stores.piv.attestation import Unverified, read_attestation, yubico_authorities
from hsm_agent.stores.piv.pin_memory import PinMemory
from hsm_agent.stores.pkcs11.pins import RefusedPins
from hsm_agent.stores.store import PinNeeded, TokenFault
from tests.fuzz.agent_end import agent_end
from tests.fuzz.agent_host import agent_host, answered, folder, from_file, passed
from tests.fuzz.target import Target
from tests.hsm_agent import made_structures as made

_DER_WORDS = (b"\x30\x80", b"\0\0", b"\x01\x01\xff", b"\x02\x01\0", b"\x06\x03\x55\x1d\x13")
_TOML_WORDS = (b"[" * 300, b"'''", b'"""', b"1979-05-27", b"inf", b"{a=" * 200, b"9" * 5000, b"*")
_JSON_WORDS = (b"[" * 3000, b"1e999", b"\\ud800", b"null", b'"i":1', b"{}", b"\0", b"9" * 5000)
_PEM_WORDS = (b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n", b"=", b"\xff")
_HTTP_WORDS = (b"\r\n\r\n", b"HTTP/1.1 200", b"HTTP/1.1 ", b"\r", b"\n", b"\x1b[2J")
_ATTESTATION = (
    Path(__file__).parent.parent / "hsm_agent" / "vectors" / "yubikey-5.2.6-attestation.pem"
)
POLICY = """\
version = 1
[approvers.alice]
ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f alice"
[approvers.bob]
ed25519 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
[keys."hsm/root"]
spki = "sha256:9a13c0ffee9a13c0ffee9a13c0ffee9a13c0ffee9a13c0ffee9a13c0ffeeabcd"
profile = "root"
"""


def _deed(deed: str, **arguments: object) -> bytes:
    return json.dumps({"deed": deed, **arguments}).encode() + b"\n"


def _deeds() -> list[bytes]:
    octets = base64.b64encode(b"0\0").decode()
    return [
        *map(_deed, ("status", "keys", "stores", "approvals", "rotate")),
        _deed("generate", name="soft/x", key_type="none", profile="issuing"),
        _deed("import", name="soft/y", pkcs8=octets, key_type="", profile="issuing"),
        _deed("certificates", name="soft/x"),
        _deed("put-certificates", name="soft/x", certificates=[octets]),
        _deed("approve", id="0" * 64, kind="ssh", proof=octets),
        _deed("offline", bundle=octets),
        _deed("change-pin", store="soft", old="1", new="2"),
    ]


def _certificates() -> list[bytes]:
    read = x509.load_pem_x509_certificates(_ATTESTATION.read_bytes())
    return [one.public_bytes(Encoding.DER) for one in reversed(read)]


def _attestation(octets: bytes) -> None:
    """Read what a card says of a key; no octet of it can be changed and still be Yubico's."""
    leaf, card = _certificates()
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        read_attestation(octets)
    assert yubico_authorities().verify(octets, card)
    assert octets == leaf


def _attesting_card(octets: bytes) -> None:
    yubico_authorities().verify(_certificates()[0], octets)


def _journal_file(path: Path) -> None:
    """What is read as the end of a journal is found sound, or faults are told."""
    verify(path.parent)
    read_tail(path.parent)
    lines(path.parent, 1, 100)


def _remembered(octets: bytes) -> None:
    """Take a line's fields into what decisions are made from, with the chain as it has to be."""
    chain = {"i": 1, "prev": "0" * 64, "ts": agent_end().now}
    try:
        line = encode({**cbor2.loads(octets), **chain})
        decode(line)
    except (TypeError, ValueError, RecursionError, cbor2.CBORError, BrokenLine):
        return
    place = folder() / "remembered"
    for path in place.glob("*/*"):
        path.unlink()
    (place / "journal").mkdir(parents=True, exist_ok=True)
    (place / "journal" / "2026-01.jsonl").write_bytes(line + b"\n")
    journal = Journal(place / "journal", agent_end().side.clock, lambda _: None)
    try:
        JournalMemory(journal, place / "state").close()
    finally:
        journal.close()


def _line_fields() -> list[bytes]:
    digest = "ab" * 32
    allowed = {
        "event": "sign",
        "kind": "crl",
        "key": digest,
        "tbs": digest,
        "scope": "x",
        "serial": "0a",
        "not-after": "2027-01-01T00:00:00+00:00",
        "crl-number": "7",
        "this-update": "2026-01-01T00:00:00+00:00",
    }
    found = [
        allowed,
        {"event": "revoked", "key": digest, "scope": "x", "added": ["0a"], "left": ["0b"]},
        {"event": "generate", "name": "soft/x", "profile": "issuing", "key-type": "ec-p256"},
        {"event": "generated", "name": "soft/x", "key": digest, "profile": "issuing"},
        {"event": "not-generated", "name": "soft/x"},
        {"event": "relay", "asking": digest, "sequence": 5},
    ]
    return [cbor2.dumps(one, canonical=True) for one in found]


def _waiting(path: Path) -> None:
    """A record that cannot be read is told of in the log, and left alone."""
    records = Records(path.parent)
    if bytes(32) in records.all():
        records.octets(bytes(32))


def _waiting_seeds() -> list[bytes]:
    record = {
        "approval": bytes(32),
        "key": bytes(32),
        "name": b"soft/x",
        "kind": "crl",
        "statement": b"s",
        "text": b"t",
        "times": [1, 2],
        "need": 1,
        "of": [b"alice"],
        "proofs": [[b"alice", "ssh", b"p", 1]],
        "declined": False,
        "octets": b"0\0",
    }
    return [cbor2.dumps(record, canonical=True)]


def _settings() -> list[bytes]:
    pkcs11 = b'[stores.hsm]\nkind = "pkcs11"\nmodule = "/x.so"\ntoken = "t"\npin-file = "pin"\n'
    piv = b'[stores.yk]\nkind = "piv"\nserial = 1\npin-file = "p"\nmanagement-key-file = "m"\n'
    line = b'[line]\nwindow = 4\nproxy = "http://u@proxy.example:3128"\n'
    status = b'[status]\nbind = "127.0.0.1:8446"\n'
    return [b'name = "vault-a"\n' + line + pkcs11, b'name = "vault-a"\n' + status + piv]


def _identity() -> list[bytes]:
    made_one = make_identity(folder() / "made", "vault-a", clock.now(), clock.entropy)
    octets = made_one.file.read_bytes()
    made_one.file.unlink()
    return [octets]


def _node() -> list[bytes]:
    node = {"number": 1, "address": "[::1]:8444", "pin": "ab" * 32, "frame_key": "cd" * 32}
    return [json.dumps([node]).encode()]


def _journal() -> list[bytes]:
    journal = agent_end().side.journal
    return [b"".join(line + b"\n" for line in journal.lines(1, 4))]


HOST_TARGETS: Mapping[str, Target] = {
    "control-line": Target(
        lambda octets: agent_host().call(octets), (), _deeds, (*_JSON_WORDS, "ä".encode(), b"\n")
    ),
    "control-answer": Target(
        answered,
        (AgentFault,),
        lambda: [b'{"done": {"name": "vault-a"}}\n', b'{"why": "no", "code": 3}\n'],
        (*_JSON_WORDS, b'"code"', b'"done"', b"[]"),
    ),
    "proxy-answer": Target(
        passed,
        (NotReached,),
        lambda: [b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n", b"HTTP/1.0 407 No\r\n\r\n"],
        _HTTP_WORDS,
    ),
    "attestation": Target(
        _attestation, (Unverified,), lambda: _certificates()[:1], _DER_WORDS, is_der=True
    ),
    "attesting-card": Target(
        _attesting_card, (Unverified,), lambda: _certificates()[1:], _DER_WORDS, is_der=True
    ),
    "journal-file": Target(
        from_file("lines/2026-01.jsonl", _journal_file),
        (JournalFault,),
        _journal,
        (*_JSON_WORDS, b"\n", b"\n\n", b"0" * 70_000),
    ),
    "journal-memory": Target(_remembered, (JournalFault,), _line_fields, is_cbor=True),
    "waiting": Target(
        from_file(f"waiting/{'00' * 32}.waiting", _waiting), (), _waiting_seeds, is_cbor=True
    ),
    "agent-policy": Target(
        read_policy,
        (PolicyFault,),
        lambda: [
            starter("vault-a", dns=["example.com"]).encode(),
            (starter("vault-a") + POLICY.partition("\n")[2]).encode(),
        ],
        (*_TOML_WORDS, "ä".encode()),
        is_trusted=True,
    ),
    "agent-settings": Target(
        read_settings, (SettingsFault,), _settings, _TOML_WORDS, is_trusted=True
    ),
    "agent-nodes": Target(
        from_file("nodes/nodes.json", lambda path: read_nodes(path.parent)),
        (SettingsFault,),
        _node,
        (*_JSON_WORDS, b"5", b'"number"'),
        is_trusted=True,
    ),
    "agent-identity": Target(
        from_file("identity/keys.pem", lambda path: load_identity(path.parent)),
        (SettingsFault,),
        _identity,
        (*_PEM_WORDS, b"ENCRYPTED ", b"EC "),
        is_trusted=True,
    ),
    "kept-certificates": Target(
        from_file(
            f"certificates/{'00' * 32}.pem",
            lambda path: AuthorityCertificates(path.parent).of(bytes(32)),
        ),
        (TokenFault,),
        lambda: [x509.load_der_x509_certificate(made.CA_CERTIFICATE).public_bytes(Encoding.PEM)],
        _PEM_WORDS,
        is_trusted=True,
    ),
    "pkcs11-pins": Target(
        from_file("refused", lambda path: RefusedPins(path, bytes).check("1234")),
        (PinNeeded,),
        lambda: [b'{"salt": "00", "tries": {"ab": 1, "cd": -1}}'],
        (*_JSON_WORDS, b'"tries"', b"[]"),
        is_trusted=True,
    ),
    "piv-pins": Target(
        from_file("memory", lambda path: PinMemory(path, bytes).was_wrong(1, "123456", 3)),
        (TokenFault,),
        lambda: [b'[{"serial": 2, "salt": "00", "digest": "ab", "left": 2}]'],
        (*_JSON_WORDS, b'"left"', b"[]"),
        is_trusted=True,
    ),
}
