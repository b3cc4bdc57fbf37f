"""The heartbeat of all lines: it renews the agents' right to sign, and finds the silent ones."""

from time import monotonic

from pikaserver_agents.lines import Lines
from pikaserver_agents.repeating import Repeating
from pikaserver_agents.settings import AgentSettings

LOOKS = 4
"""How often within a heartbeat to look for silence, so that it is noticed soon."""


class Pulse:
    """One thread for all lines."""

    def __init__(self, lines: Lines, settings: AgentSettings) -> None:
        self._lines = lines
        self._dead = settings.dead / 1000
        self._last, self._looks = monotonic(), 0
        self._work = Repeating("agents-pulse", self._look, settings.heartbeat / 1000 / LOOKS)

    def start(self) -> None:
        """Begin."""
        self._last = monotonic()
        self._work.start()

    def stop(self) -> None:
        """Beat no more."""
        self._work.stop()

    def _look(self) -> None:
        now, self._looks = monotonic(), self._looks + 1
        # Who slept himself, because the host did, cannot tell that others were silent.
        awake = now - self._last < self._dead
        self._last = now
        for line in self._lines.present().values():
            if awake and line.silence() > self._dead:
                line.cut(f"nothing came for {self._dead:g} s")
            elif self._looks % LOOKS == 0:
                line.ping()
