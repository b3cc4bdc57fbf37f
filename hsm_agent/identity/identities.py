"""Which keys the agent shows to nodes, and how new ones take the place of the old."""

import logging
import threading
from collections.abc import Callable

from hsm_agent import clock
from hsm_agent.channel.faults import NotKnownThere
from hsm_agent.channel.greeting import FramedLine, Surroundings, open_line
from hsm_agent.faults import Unavailable
from hsm_agent.identity.identity import (
    Identity,
    load_identity,
    load_next_identity,
    make_next_identity,
    promote,
)
from hsm_agent.places import Place
from hsm_agent.software import software
from hsm_agent.wire.messages import PROTOCOL, Enroll, Node

REGISTER_SECONDS = 15.0

_log = logging.getLogger(__name__)


class Identities:
    """Dials with the present keys; with those of a rotation that was cut short, if need be."""

    def __init__(self, place: Place, agent: str, around: Surroundings) -> None:
        self._place = place
        self._agent = agent
        self._around = around
        self._lock = threading.Lock()
        self._rotating = threading.Lock()
        self._present = load_identity(place.identity)

    def present(self) -> Identity:
        """Return the keys that count now."""
        with self._lock:
            return self._present

    def dial(self, node: Node) -> FramedLine:
        """Return a line to a node.

        Raises:
            LineFault: there is none to be had.
            WireError: what came is not of the protocol.
        """
        try:
            return open_line(node, self.present(), self._around, known=True)
        except NotKnownThere:
            following = load_next_identity(self._place.identity)
            if following is None or self._rotating.locked():
                raise
            line = open_line(node, following, self._around, known=True)
            _log.info("the server knows the keys of the rotation that was begun before")
            self._promote()
            return line

    def rotate(self, register: Callable[[Enroll, float], bool]) -> Identity:
        """Make new keys, have them registered over a line, and let them count.

        Raises:
            Unavailable: no node took them; the old ones go on.
        """
        with self._rotating:
            folder = self._place.identity
            following = make_next_identity(folder, self._agent, clock.now(), clock.entropy)
            versions = (PROTOCOL,)
            enroll = Enroll(
                b"",
                self._agent,
                following.certificate,
                following.frame_public,
                software(),
                versions,
            )
            if not register(enroll, REGISTER_SECONDS):
                raise Unavailable("no node took the new keys; those of before go on")
            return self._promote()

    def _promote(self) -> Identity:
        with self._lock:
            self._present = promote(self._place.identity)
            return self._present
