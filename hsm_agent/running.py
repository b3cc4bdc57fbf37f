"""A running agent: lines, socket, status page, and the watch over stores and policy."""

import logging
import threading
from collections.abc import Sequence
from functools import lru_cache, partial

from hsm_agent import clock
from hsm_agent.agent import Agent
from hsm_agent.channel.backoff import Backoff
from hsm_agent.channel.desk import Desk
from hsm_agent.channel.keeper import Keeper
from hsm_agent.channel.lines import Lines
from hsm_agent.channel.workers import Workers
from hsm_agent.control.deeds import Deeds, House
from hsm_agent.control.server import ControlServer
from hsm_agent.faults import AgentFault
from hsm_agent.identity.identities import Identities
from hsm_agent.identity.identity import Identity
from hsm_agent.identity.nodes import read_nodes, write_nodes
from hsm_agent.journal.faults import JournalFault
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.service.relaying import Relaying
from hsm_agent.service.service import Answer, Request
from hsm_agent.software import software
from hsm_agent.status_page.server import StatusServer
from hsm_agent.surroundings import surroundings
from hsm_agent.wire.channel_kinds import ChannelKinds
from hsm_agent.wire.messages import Done, Node, Refused, Relay, Relayed

POLL_SECONDS = 5.0
"""Between two looks into every store."""

_log = logging.getLogger(__name__)


class Running:
    """Everything that lives while ``hsm-agent run`` does."""

    def __init__(self, agent: Agent) -> None:
        settings = agent.settings
        line = settings.line
        self._agent = agent
        around = surroundings(agent.place, line)
        self._identities = Identities(agent.place, settings.name, around)
        self._workers = Workers(line.workers, line.window)
        self._lines = Lines(self._keeper, self._remember, pinned=line.pinned)
        self._deeds = Deeds(agent, House(self._lines.views, self._tell_inventory, self._rotate))
        # Its refusals are counted, so there is one for each identity, not for each frame.
        self._relaying = lru_cache(maxsize=2)(self._make_relaying)
        self._closing = threading.Event()
        self._control: ControlServer | None = None
        self._status: StatusServer | None = None
        agent.keyring.listen(self._tell_inventory)

    @property
    def status_address(self) -> tuple[str, int] | None:
        """Where the status page is, if it is on."""
        return None if self._status is None else self._status.address

    def start(self) -> None:
        """Look into the stores, then answer on this host, then dial.

        Raises:
            AgentFault: a socket cannot be had, or files of the enrolment are missing.
            JournalFault: the start could not be journaled.
        """
        agent = self._agent
        nodes = read_nodes(agent.place.identity)
        agent.journal.append("start", agent=agent.settings.name, software=software())
        agent.note_policy()
        for warning in agent.policies.current().warnings():
            _log.warning("policy: %s", warning)
        agent.keyring.refresh()
        self._control = ControlServer(agent.place.socket, self._deeds.do)
        if agent.settings.status is not None:
            self._status = StatusServer(agent.settings.status, lambda: self._deeds.do("status", {}))
        self._lines.start(nodes)
        threading.Thread(target=self._poll, name="stores", daemon=True).start()

    def reload(self) -> None:
        """Read the policy file again; a wrong one changes nothing."""
        try:
            changed = self._agent.reload_policy()
        except (AgentFault, JournalFault) as error:
            _log.error("the policy of before goes on: %s", error)
            return
        _log.info("policy read again, %s", "changed" if changed else "the same as before")
        self._tell_inventory()

    def drain(self) -> None:
        """Take nothing new; what was taken is still answered."""
        self._lines.drain()

    def is_idle(self, seconds: float) -> bool:
        """Wait so long for the last answer; return whether all are given."""
        return self._workers.wait_idle(seconds)

    def close(self) -> None:
        """Say goodbye on all lines and let everything go."""
        self._closing.set()
        self._lines.stop()
        self._workers.close()
        for door in (self._control, self._status):
            if door is not None:
                door.close()
        self._agent.close()

    def _keeper(self, node: Node) -> Keeper:
        agent = self._agent
        desk = Desk(
            hello=agent.hello,
            answer=self._answer,
            sign=agent.service.sign,
            mark=agent.journal.mark,
            learned=partial(self._lines.learn, by=node),
            relayed=self._relayed,
            report=self._report,
            workers=self._workers,
            elapsed=clock.elapsed_ms,
        )
        return Keeper(node, self._identities.dial, desk, Backoff(clock.entropy), clock.now_ms)

    def _answer(self, request: Request, line: LineFacts) -> Answer:
        answer = self._agent.service.answer(request, line)
        if isinstance(answer, Done):
            # Whoever is told that a key is made finds it among the keys already.
            self._tell_inventory()
        return answer

    def _remember(self, nodes: Sequence[Node]) -> None:
        write_nodes(self._agent.place.identity, nodes)

    def _relayed(self, message: Relay, line: LineFacts) -> Relayed | Refused:
        return self._relaying(self._identities.present()).answer(message, line)

    def _make_relaying(self, identity: Identity) -> Relaying:
        agent = self._agent
        return Relaying(
            identity,
            self._lines.nodes,
            self._answer,
            agent.journal,
            agent.memory,
            clock.now_ms,
        )

    def _report(self, event: str, node: Node, why: str) -> None:
        fields = {"why": why} if why else {}
        try:
            self._agent.journal.note(event, node=node.number, address=node.address, **fields)
        except JournalFault as error:
            _log.error("the journal did not take %s: %s", event, error)

    def _rotate(self, tls: str, frames: str) -> str:
        present = self._identities.present().kinds
        kinds = ChannelKinds(tls or present.tls, frames or present.frames)
        identity = self._identities.rotate(self._lines.register, kinds)
        self._agent.journal.append("rotate", pin=identity.pin.hex(), frames=kinds.frames)
        self._lines.redial()
        return identity.pin.hex()

    def _tell_inventory(self) -> None:
        self._lines.tell(self._agent.inventory())

    def _poll(self) -> None:
        while not self._closing.wait(POLL_SECONDS):
            try:
                self._agent.keyring.refresh()
            except Exception:  # noqa: BLE001 - the watch over the other stores goes on
                _log.exception("a store could not be looked at")
