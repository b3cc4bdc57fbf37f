"""What the operator of this host can have the agent do; the same whether it runs or not."""

import base64
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from hsm_agent import clock
from hsm_agent.agent import Agent
from hsm_agent.approvals.records import Record as Pending
from hsm_agent.channel.keeper import LineView
from hsm_agent.control.arguments import Arguments
from hsm_agent.control.exit_codes import Refusal
from hsm_agent.control.pins import PIN_DEEDS
from hsm_agent.control.pins import Deed as PinDeed
from hsm_agent.control.records import (
    Json,
    channel_record,
    key_record,
    line_record,
    operation_record,
    pem,
    pending_record,
    store_record,
)
from hsm_agent.faults import AgentFault, NotThere, Unavailable
from hsm_agent.identity.identity import load_identity
from hsm_agent.identity.nodes import read_nodes
from hsm_agent.journal.line import Line
from hsm_agent.keys.keyring import KeyringKey
from hsm_agent.keys.local_keys import LocalKeys
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.service.offline import answer_bundle
from hsm_agent.service.relaying import Relaying
from hsm_agent.service.service import Request
from hsm_agent.software import software
from hsm_agent.stores.store import NewKey
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frame_kinds import frame_pin
from hsm_agent.wire.messages import (
    Done,
    Mark,
    PutCertificate,
    Refused,
)

HERE = LineFacts(0, "local", lambda: True)
"""The operator of this host asks."""
PATIENCE_MS = 600_000
OPERATIONS = 20
SHORTEST_ID = 4
ID_OCTETS = 16


@dataclass(frozen=True, slots=True)
class House:
    """What only a running agent has.

    ``rotate`` takes the kinds of the new keys, for TLS and for frames, empty for those of before;
    it returns the new pin in hexadecimal.
    """

    lines: Callable[[], Sequence[LineView]] = tuple
    changed: Callable[[], None] = lambda: None
    rotate: Callable[[str, str], str] | None = None


class Deeds:
    """Does what it is asked by name."""

    def __init__(self, agent: Agent, house: House | None = None) -> None:
        self._agent = agent
        self._house = house or House()
        self._operations: deque[tuple[Mark, Line]] = deque(maxlen=OPERATIONS)
        self._deeds: dict[str, Callable[[Arguments], object]] = {
            "status": self._status,
            "keys": self._keys,
            "generate": self._generate,
            "import": self._import,
            "certificates": self._certificates,
            "put-certificates": self._put_certificates,
            "stores": self._stores,
            "approvals": self._approvals,
            "approval": self._approval,
            "approval-octets": self._approval_octets,
            "approve": self._approve,
            "decline": self._decline,
            "reload": self._reload,
            "rotate": self._rotate_keys,
            "offline": self._offline,
            **{name: partial(self._pin, deed) for name, deed in PIN_DEEDS.items()},
        }
        self._local = LocalKeys(agent.keyring, agent.journal)
        agent.journal.watch(self._watch)

    def do(self, deed: str, arguments: Mapping[str, object]) -> object:
        """Do a deed; the result is plain JSON.

        Raises:
            AgentFault: it was not done; also `StoreError` and `JournalFault`.
        """
        if deed not in self._deeds:
            raise NotThere(f"this agent does not know the deed {deed!r}")
        given = Arguments(arguments)
        result = self._deeds[deed](given)
        given.end()
        return result

    def _status(self, _: Arguments) -> Json:
        agent = self._agent
        mark, policy = agent.journal.mark(), agent.policies.current()
        return {
            "name": agent.settings.name,
            "software": software(),
            "channel": channel_record(load_identity(agent.place.identity)),
            "lines": [line_record(line) for line in self._house.lines()],
            "stores": self._stores(_),
            "keys": self._listed(),
            "policy": {
                "file": str(agent.policies.path),
                "digest": f"sha256:{policy.digest.hex()}",
                "profiles": list(policy.provision.profiles),
                "warnings": list(policy.warnings()),
            },
            "journal": {"lines": mark.index, "head": mark.head.hex()},
            "operations": [operation_record(*one) for one in reversed(list(self._operations))],
            "approvals": self._approvals(_),
        }

    def _keys(self, arguments: Arguments) -> Sequence[Json]:
        if arguments.flag("refresh"):
            self._agent.keyring.refresh()
        return self._listed()

    def _listed(self) -> Sequence[Json]:
        return [key_record(key) for key in self._agent.inventory().keys]

    def _stores(self, _: Arguments) -> Sequence[Json]:
        return [store_record(store) for store in self._agent.inventory().stores]

    def _generate(self, arguments: Arguments) -> Json:
        policy, profile = self._agent.policies.current(), arguments.text("profile", "")
        key = self._local.generate(_wanted(arguments), policy, profile)
        self._house.changed()
        return self._record(key)

    def _import(self, arguments: Arguments) -> Json:
        policy, profile = self._agent.policies.current(), arguments.text("profile", "")
        pkcs8 = arguments.octets("pkcs8")
        key = self._local.bring(_wanted(arguments), pkcs8, policy, profile)
        self._house.changed()
        return self._record(key)

    def _certificates(self, arguments: Arguments) -> Json:
        key = self._agent.keyring.named(arguments.text("name"))
        return {
            "name": key.name,
            "certificates": [pem("CERTIFICATE", der) for der in key.certificates],
        }

    def _put_certificates(self, arguments: Arguments) -> Json:
        key = self._agent.keyring.named(arguments.text("name"))
        request = PutCertificate(
            clock.entropy(ID_OCTETS),
            key.spki_hash,
            tuple(arguments.octets_list("certificates")),
            clock.now_ms() + PATIENCE_MS,
        )
        self._done(request)
        self._house.changed()
        return self._record(self._agent.keyring.named(key.name))

    def _pin(self, deed: PinDeed, arguments: Arguments) -> Sequence[str]:
        name = arguments.text("store")
        store = self._agent.keyring.stores().get(name)
        if store is None:
            raise NotThere(f"{name!r} is no store here")
        told = deed(store, arguments)
        self._agent.journal.append("pin", store=name, told=told, way="local")
        self._agent.keyring.refresh()
        return told

    def _approvals(self, _: Arguments) -> Sequence[Json]:
        return [pending_record(one) for one in self._agent.approvals.pending()]

    def _approval(self, arguments: Arguments) -> Json:
        return pending_record(self._waiting(arguments.text("id")))

    def _approval_octets(self, arguments: Arguments) -> str:
        approval = self._waiting(arguments.text("id")).approval
        return base64.b64encode(self._agent.approvals.octets(approval)).decode()

    def _approve(self, arguments: Arguments) -> Json:
        approval = self._waiting(arguments.text("id")).approval
        proof = arguments.octets("proof")
        record = self._agent.approvals.add_proof(approval, arguments.text("kind", "local"), proof)
        return pending_record(record)

    def _decline(self, arguments: Arguments) -> Json:
        approval = self._waiting(arguments.text("id")).approval
        self._agent.approvals.decline(approval)
        return {"id": approval.hex(), "declined": True}

    def _reload(self, _: Arguments) -> Json:
        changed = self._agent.reload_policy()
        digest = self._agent.policies.current().digest.hex()
        return {"digest": f"sha256:{digest}", "changed": changed}

    def _rotate_keys(self, arguments: Arguments) -> Json:
        tls, frames = arguments.text("tls_key", ""), arguments.text("frame_key", "")
        rotate = self._house.rotate
        if rotate is None:
            raise Unavailable("new keys are registered over a line: start 'hsm-agent run' first")
        return {"pin": f"sha256:{rotate(tls, frames)}"}

    def _offline(self, arguments: Arguments) -> Json:
        agent = self._agent
        folder = agent.place.identity
        nodes = read_nodes(folder)
        relaying = Relaying(
            load_identity(folder),
            lambda: nodes,
            agent.service.answer,
            agent.journal,
            agent.memory,
            clock.now_ms,
        )
        askers = {frame_pin(node.frame_key): node.number for node in nodes}
        bundle = arguments.octets("bundle")
        try:
            answered = answer_bundle(
                bundle, agent.settings.name, askers, relaying, agent.inventory()
            )
        except WireError as error:
            raise AgentFault(str(error)) from error
        return {
            "bundle": base64.b64encode(answered.octets).decode(),
            "frames": answered.frames,
            "unanswered": [{"place": one.place, "why": one.why} for one in answered.unanswered],
        }

    def _watch(self, mark: Mark, line: Line) -> None:
        self._operations.append((mark, line))

    def _record(self, key: KeyringKey) -> Json:
        return key_record(self._agent.service.announce(key))

    def _done(self, request: Request) -> Done:
        answer = self._agent.service.answer(request, HERE)
        if isinstance(answer, Refused):
            raise Refusal(answer.why.decode(errors="replace"), answer.code)
        if not isinstance(answer, Done):
            raise Refusal("the service answered something else", "malformed")
        return answer

    def _waiting(self, beginning: str) -> Pending:
        """Return what waits, by enough of the beginning of its hash."""
        found = [
            one
            for one in self._agent.approvals.pending()
            if one.approval.hex().startswith(beginning.lower()) and len(beginning) >= SHORTEST_ID
        ]
        if len(found) != 1:
            which = "several that begin so wait" if found else "nothing of that hash waits"
            raise NotThere(f"{beginning!r}: {which}; see 'hsm-agent approvals'")
        return found[0]


def _wanted(arguments: Arguments) -> NewKey:
    return NewKey(
        arguments.text("name"),
        arguments.text("key_type", ""),
        arguments.text("pin_policy", ""),
        arguments.text("touch_policy", ""),
    )
