"""Twice a second: what other processes changed is applied to the door and to the lines here."""

import logging

from pikaserver.api.errors import ConfigurationError
from pikaserver_agents.directory import Directory, View
from pikaserver_agents.door import Door
from pikaserver_agents.lines import Lines
from pikaserver_agents.links import Links
from pikaserver_agents.moments import NowMs
from pikaserver_agents.reception import Reception
from pikaserver_agents.repeating import Repeating
from pikaserver_agents.storage.agents import MAY_CONNECT, AgentState

EACH_SECONDS = 0.5
"""So often the database is asked here, and requests never have to, see `Directory.view`."""

_log = logging.getLogger(__name__)


class Keeper:
    """Opens and closes the door, and cuts off agents that may not connect any more."""

    def __init__(
        self,
        directory: Directory,
        door: Door,
        reception: Reception,
        lines: Lines,
        links: Links,
        now: NowMs,
    ) -> None:
        self._directory = directory
        self._door = door
        self._reception = reception
        self._lines = lines
        self._links = links
        self._now = now
        self._seen: View | None = None
        self._fault = ""
        self._work = Repeating("agents-keeper", self.look, EACH_SECONDS)

    @property
    def fault(self) -> str:
        """Why agents cannot be awaited now; empty while they can."""
        return self._fault

    def start(self) -> None:
        """Begin to look."""
        self._work.start()

    def stop(self) -> None:
        """Look no more."""
        self._work.stop()

    def is_expecting(self, view: View) -> bool:
        """Tell whether somebody may come: an agent, or one with a code."""
        return view.codes_until > self._now() or any(
            row.state in MAY_CONNECT for row in view.agents.values()
        )

    def look(self) -> None:
        """Apply what has changed."""
        view = self._directory.refresh()
        self._tend_door(view)
        self._links.renew()
        if view is not self._seen:
            self._tend_lines(view)
            self._seen = view

    def look_again(self) -> None:
        """Apply what another process has changed just now."""
        self._directory.refresh()
        self.look()

    def _tend_door(self, view: View) -> None:
        try:
            if self.is_expecting(view):
                self._door.open()
            elif self._door.is_open:
                self._door.close()
            self._fault = ""
        except ConfigurationError as error:
            if not self._fault:
                _log.exception("agents cannot connect", extra={"event": "agents.door"})
            self._fault = str(error)

    def _tend_lines(self, view: View) -> None:
        before = self._seen
        for agent, line in self._lines.present().items():
            row = view.agents.get(agent)
            if row is None:
                line.dismiss("unknown", "this agent is not known")
                continue
            if row.state not in MAY_CONNECT:
                why = f": {row.why}" if row.why else ""
                line.dismiss(row.state, f"this agent is {row.state}{why}")
                continue
            line.held = row.state is AgentState.DRAINING
            if before is not None and before.node_keys != view.node_keys:
                line.say(self._reception.welcome(row, line.peer))
