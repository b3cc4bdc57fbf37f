"""How agents become known: codes for the operator to carry, and what an agent brings with one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography import x509
from sqlalchemy import Connection

from hsm_agent.wire.channel_kinds import ML_DSA_TLS
from hsm_agent.wire.enrollment_code import TOKEN_OCTETS, EnrollmentCode, comparison_words
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frame_kinds import frame_pin
from hsm_agent.wire.messages import PROTOCOL, Enroll, Node
from hsm_agent.wire.tls_abilities import explain_missing
from pikaserver.api.errors import (
    Conflict,
    MalformedRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RequestRejected,
)
from pikaserver.api.server import Server
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.certificate import public_key_of
from pikaserver_agents.directory import Directory
from pikaserver_agents.frame_keys import check_version, frame_verifier
from pikaserver_agents.moments import milliseconds
from pikaserver_agents.node_identities import NodeIdentities
from pikaserver_agents.node_identity import pin_of
from pikaserver_agents.peers import Peer
from pikaserver_agents.private_keys import tls_library_here
from pikaserver_agents.storage import agents, codes, node_keys
from pikaserver_agents.storage.agents import AgentState, Identity, NewAgent
from pikaserver_agents.storage.codes import CodeRow, Purpose
from pikaserver_agents.storage.node_keys import FIRST

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?")
_FAMILIAR = (AgentState.ENROLLED, AgentState.DRAINING, AgentState.OFFLINE)


@dataclass(frozen=True, slots=True)
class CodeWish:
    """What an operator wants of a code."""

    agent: str
    purpose: Purpose
    validity: timedelta
    offline: bool = False
    confirm: bool = False
    old: bool = False
    """For an agent that cannot verify our newest keys: the oldest classical ones are named."""


@dataclass(frozen=True, slots=True)
class Way:
    """How an agent registers: in which version, over a line to which node, or by hand.

    ``told`` are the generations of nodes' keys that it is told of; empty for those of its code.
    """

    version: int
    node: Node | None = None
    by_hand: bool = False
    told: Mapping[int, int] = field(default_factory=dict)


BY_LINE = Way(PROTOCOL)


class Enrollments:
    """Makes codes, and registers who comes with one."""

    def __init__(self, server: Server, directory: Directory, identities: NodeIdentities) -> None:
        self._server = server
        self._directory = directory
        self._identities = identities
        self._now = milliseconds(server.clock)

    def make_code(self, wish: CodeWish, by: str) -> tuple[EnrollmentCode, int]:
        """Return a code and when it ends; earlier ones for the same agent are worthless then.

        Raises:
            RequestRejected: this is no name for an agent.
            Conflict: the name is taken, or there is nobody of that name to rotate; or no node has
                the classical keys that are wished.
        """
        self._check_name(wish)
        token = self._server.entropy(TOKEN_OCTETS)
        expires_at = self._now() + wish.validity // timedelta(milliseconds=1)
        self._identities.present()  # the first process that asks makes them
        view = self._directory.refresh()
        found = view.named_to(Peer()) if wish.old else view.newest_keys()
        if not found:
            raise Conflict("no node has classical keys any more: they were retired")
        row = CodeRow(
            codes.hash_of(token),
            wish.agent,
            wish.purpose,
            wish.offline,
            wish.confirm,
            expires_at,
            created_by=by,
            named=codes.named({key.node.number: key.generation for key in found}),
        )
        with self._server.database.transaction() as connection:
            codes.add(connection, row)
            self._server.audit.record(
                connection,
                "agent.code",
                by,
                agent=wish.agent,
                purpose=wish.purpose,
                offline=wish.offline,
                confirm=wish.confirm,
            )
        self._directory.refresh()
        code = EnrollmentCode(
            wish.agent,
            token,
            tuple(key.node.address for key in found),
            tuple(key.node.pin for key in found),
            tuple(frame_pin(key.node.frame_key) for key in found),
        )
        return code, expires_at

    def enroll(self, message: Enroll, way: Way = BY_LINE) -> str:
        """Register who comes with a code, or give an agent its new keys; return its name.

        Raises:
            NotAuthenticated: the code is unknown, used, expired, or for something else.
            RequestRejected: what the agent brings does not fit.
            Conflict: it is registered already.
        """
        identity = self._checked(message, way)
        with self._server.database.transaction() as connection:
            code = self._spend(connection, message, by_hand=way.by_hand)
            named = codes.generations(code)
            words = self._words(identity, way.node or self._first_named(named))
            if code.purpose is Purpose.ROTATE:
                self._replace(connection, message.agent, identity, words)
            else:
                self._insert(connection, code, identity, words)
            node_keys.set_known(connection, message.agent, way.told or named)
        self._directory.refresh()
        return message.agent

    def rotate(self, agent: str, message: Enroll, version: int) -> None:
        """Take the next keys of an agent that brought them over its own line.

        Raises:
            NotAllowed: they are another agent's.
            RequestRejected: what the agent brings does not fit.
            Conflict: these keys are known already.
        """
        if message.agent != agent:
            raise NotAllowed(f"{agent!r} brings keys of {message.agent!r}")
        identity = self._checked(message, Way(version))
        words = self._words(identity, self._identities.newest().node)
        with self._server.database.transaction() as connection:
            self._replace(connection, agent, identity, words)
        self._directory.refresh()

    def _check_name(self, wish: CodeWish) -> None:
        if not _NAME.fullmatch(wish.agent):
            raise RequestRejected(
                f"{wish.agent!r} is no name for an agent: it may have small letters, digits,"
                " hyphens and dots, at most 64"
            )
        there = self._directory.refresh().agents.get(wish.agent)
        if wish.purpose is Purpose.ROTATE:
            if there is None:
                raise NotFound(f"there is no agent {wish.agent!r}")
            if there.state not in _FAMILIAR:
                raise Conflict(f"agent {wish.agent!r} is {there.state}; it gets no new keys")
        elif there is not None:
            raise Conflict(
                f"there is an agent {wish.agent!r} already, {there.state};"
                " its journal is kept under this name, so choose another one"
            )

    def _checked(self, message: Enroll, way: Way) -> Identity:
        """Return what an agent will be known by, after a look at each part of it."""
        if way.version not in message.versions:
            spoken = ", ".join(map(str, message.versions))
            raise RequestRejected(f"this server speaks version {way.version}, the agent {spoken}")
        try:
            pin = pin_of(message.certificate)
            frame_verifier(message.frame_key)
            check_version(way.version, message.frame_key)
        except WireError as error:
            raise MalformedRequest(str(error)) from error
        certificate = x509.load_der_x509_certificate(message.certificate)
        kind = key_type(public_key_of(certificate))
        if kind in ML_DSA_TLS and kind not in tls_library_here().kinds and not way.by_hand:
            raise RequestRejected(f"the agent's TLS key is one of {kind}: {explain_missing(kind)}")
        try:
            certificate.verify_directly_issued_by(certificate)
        except Exception as error:  # the library has many reasons
            raise RequestRejected("the agent's certificate is not signed by its own key") from error
        now = self._server.clock()
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise RequestRejected("the agent's certificate does not hold now: look at its clock")
        return Identity(pin, message.certificate, message.frame_key)

    def _spend(self, connection: Connection, message: Enroll, *, by_hand: bool) -> CodeRow:
        now = self._now()
        code = codes.find(connection, codes.hash_of(message.token))
        if code is None:
            raise NotAuthenticated("this code is none of this server's")
        if code.agent != message.agent:
            raise NotAuthenticated(f"this code is for {code.agent!r}, not for {message.agent!r}")
        if code.offline != by_hand:
            how = "by hand, in a file" if code.offline else "over a line"
            raise NotAuthenticated(f"this code is for an agent that registers {how}")
        if code.used_at is not None:
            raise NotAuthenticated("this code was used before")
        if not codes.spend(connection, code.token_hash, now):
            raise NotAuthenticated(
                "this code is too old; 'pikaserver agent enroll' gives another one"
            )
        return code

    def _insert(
        self, connection: Connection, code: CodeRow, identity: Identity, words: str
    ) -> None:
        state = AgentState.OFFLINE if code.offline else AgentState.ENROLLED
        new = NewAgent(
            code.agent,
            AgentState.WAITING if code.confirm else state,
            code.offline,
            identity,
            words,
        )
        if not agents.insert(connection, new, self._now()):
            raise Conflict(f"agent {code.agent!r}, or one with these keys, is registered already")
        self._audit(connection, "agent.enrolled", code.agent, identity)

    def _replace(self, connection: Connection, name: str, identity: Identity, words: str) -> None:
        row = agents.find(connection, name)
        if row is None or row.state not in _FAMILIAR:
            raise Conflict(f"agent {name!r} gets no new keys now")
        known = {
            key
            for other in agents.list_all(connection)
            for one in (other.identity, other.following)
            if one is not None and other.name != name
            for key in (one.pin, one.frame_key)
        }
        if not known.isdisjoint({identity.pin, identity.frame_key}):
            raise Conflict("another agent has one of these keys")
        if row.by_hand:
            agents.replace_identity(connection, name, identity, words)
        else:
            agents.announce_following(connection, name, identity, words)
        self._audit(connection, "agent.rotating", name, identity)

    def _first_named(self, named: Mapping[int, int]) -> Node:
        """Return the first node of a code, by the keys that it names."""
        keys = self._directory.view().node_keys
        found = (key.node for key in keys if named.get(key.node.number, FIRST) == key.generation)
        return next(found, keys[0].node)

    def _words(self, identity: Identity, node: Node) -> str:
        """Return what both sides show: of a file it is about the first node of the code."""
        frame_keys = (frame_pin(node.frame_key), frame_pin(identity.frame_key))
        return comparison_words(node.pin, identity.pin, *frame_keys)

    def _audit(self, connection: Connection, event: str, agent: str, identity: Identity) -> None:
        self._server.audit.record(
            connection,
            event,
            f"agent:{agent}",
            agent=agent,
            pin=identity.pin.hex(),
            frame_key=identity.frame_key.hex(),
        )
