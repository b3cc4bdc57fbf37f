"""Which keys the agent shows to nodes, and how new ones take the place of the old."""

import logging
import threading
from collections.abc import Callable

from hsm_agent import clock
from hsm_agent.channel.faults import NotKnownThere
from hsm_agent.channel.greeting import FramedLine, Surroundings, open_line
from hsm_agent.faults import Unavailable
from hsm_agent.identity.channel_keys import check_kinds
from hsm_agent.identity.identity import (
    Identity,
    load_identity,
    load_next_identity,
    make_next_identity,
    promote,
)
from hsm_agent.places import Place
from hsm_agent.software import software
from hsm_agent.wire.channel_kinds import ChannelKinds
from hsm_agent.wire.messages import VERSIONS, Enroll, Node

REGISTER_SECONDS = 15.0

_log = logging.getLogger(__name__)


class Identities:
    """Dials with the present keys; with those of a rotation that was cut short, if need be."""

    def __init__(self, place: Place, agent: str, around: Surroundings) -> None:
        """Load the present keys.

        Raises:
            SettingsFault: there are none, or this host's TLS library cannot use them.
        """
        self._place = place
        self._agent = agent
        self._around = around
        self._lock = threading.Lock()
        self._rotating = threading.Lock()
        self._present = load_identity(place.identity)
        check_kinds(self._present.kinds)

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

    def rotate(
        self, register: Callable[[Enroll, float], bool], kinds: ChannelKinds | None = None
    ) -> Identity:
        """Make new keys, have them registered over a line, and let them count.

        They are of the same kinds as the present ones, unless others are named.

        Raises:
            Unavailable: no node took them; the old ones go on.
            SettingsFault: keys of these kinds cannot be used here.
        """
        kinds = kinds or self.present().kinds
        check_kinds(kinds)
        with self._rotating:
            folder = self._place.identity
            following = make_next_identity(folder, self._agent, clock.now(), clock.entropy, kinds)
            enroll = Enroll(
                b"",
                self._agent,
                following.certificate,
                following.frame_public,
                software(),
                VERSIONS,
            )
            if not register(enroll, REGISTER_SECONDS):
                raise Unavailable("no node took the new keys; those of before go on")
            return self._promote()

    def _promote(self) -> Identity:
        with self._lock:
            # The thread of another line may have been faster.
            if load_next_identity(self._place.identity) is not None:
                self._present = promote(self._place.identity)
            return self._present
