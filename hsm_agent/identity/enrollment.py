"""From a code to an agent that is registered: keys, pins, settings and a first policy."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from hsm_agent import clock
from hsm_agent.channel.faults import Dismissed, LineFault, NotReached
from hsm_agent.channel.greeting import Surroundings, open_line
from hsm_agent.faults import AgentFault, Conflict, SettingsFault, Unavailable
from hsm_agent.identity.channel_keys import check_kinds
from hsm_agent.identity.identity import (
    CLASSICAL,
    Identity,
    load_identity,
    load_next_identity,
    make_identity,
    make_next_identity,
    promote,
)
from hsm_agent.identity.nodes import has_nodes, is_proper, read_nodes, write_nodes
from hsm_agent.places import Place
from hsm_agent.policy.policy import PolicyFault, read_policy
from hsm_agent.private_files import make_private_folder, write_private
from hsm_agent.settings.settings import load_settings, read_settings
from hsm_agent.settings.text import FirstSettings, settings_text
from hsm_agent.software import software
from hsm_agent.stores.opening import open_stores
from hsm_agent.wire.bundles import (
    REGISTRATION,
    Bundle,
    registration_session_id,
    seal_for_bundle,
)
from hsm_agent.wire.channel_kinds import ChannelKinds
from hsm_agent.wire.enrollment_code import EnrollmentCode, comparison_words
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frame_kinds import frame_pin
from hsm_agent.wire.messages import VERSIONS, Enroll, Enrolled, Goodbye, Node

ENROLL_SECONDS = 15.0
DOOR_MS = 5000
AGAIN_SECONDS = 0.2
"""A node that nobody answers at is tried again so often, and for `DOOR_MS` milliseconds."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Registered:
    """How it went: the node that took us in, and the words that a person compares."""

    agent: str
    address: str
    words: str
    nodes: tuple[Node, ...]


def read_code(text: str) -> EnrollmentCode:
    """Read what the operator carried here.

    Raises:
        AgentFault: it was cut or altered.
    """
    try:
        return EnrollmentCode.read(text)
    except WireError as error:
        raise AgentFault(str(error)) from error


def prepare(place: Place, first: FirstSettings, policy: str) -> None:
    """Write settings and policy where there are none, and check those that count then.

    This is done before the code is used: it is good once.

    Raises:
        SettingsFault: something in them is wrong.
    """
    make_private_folder(place.folder)
    octets = place.settings.read_bytes() if place.settings.exists() else None
    text = settings_text(first).encode()
    settings = read_settings(octets or text, str(place.settings))
    if settings.name != first.name:
        raise SettingsFault(
            f"{place.settings}: name is {settings.name!r}, but the code is for {first.name!r}"
        )
    for store in open_stores(settings.stores, place).values():
        store.close()
    path = place.within(settings.policy)
    try:
        read_policy(path.read_bytes() if path.exists() else policy.encode())
    except PolicyFault as error:
        raise SettingsFault(f"{path}: {error}") from error
    if octets is None:
        write_private(place.settings, text)
    if not path.exists():
        write_private(path, policy.encode())


def identity_for(code: EnrollmentCode, place: Place, kinds: ChannelKinds = CLASSICAL) -> Identity:
    """Return the keys to register: new ones, or those of an enrolment that was cut short.

    An agent that is enrolled already gets new keys by a code of the same server for the same
    name; they wait beside the present ones until `settle`.

    Raises:
        Conflict: the folder is another agent's, or another server's; or it has keys of other
            kinds, of an enrolment that was cut short.
        SettingsFault: keys of these kinds cannot be used here.
    """
    check_kinds(kinds)
    folder = place.identity
    if not has_nodes(folder):
        try:
            return make_identity(folder, code.agent, clock.now(), clock.entropy, kinds)
        except Conflict:
            return _of_kinds(load_identity(folder), kinds)
    nodes = read_nodes(folder)
    # A node that has new keys since is still where it was.
    known = {node.pin for node in nodes} | {node.address for node in nodes}
    if load_settings(place).name != code.agent or known.isdisjoint((*code.pins, *code.addresses)):
        raise Conflict(
            f"{place.folder} belongs to an agent that is enrolled, under another name or at"
            " another server: another agent needs another --data"
        )
    return make_next_identity(folder, code.agent, clock.now(), clock.entropy, kinds)


def _of_kinds(identity: Identity, kinds: ChannelKinds) -> Identity:
    if identity.kinds != kinds:
        raise Conflict(
            f"{identity.file} has keys of an enrolment that was cut short, {identity.kinds.tls} for"
            f" TLS and {identity.kinds.frames} for frames: name these kinds, or remove the file"
        )
    return identity


def enroll(
    code: EnrollmentCode, identity: Identity, around: Surroundings, tell: Tell
) -> Registered:
    """Register at the first node that answers.

    ``tell`` gets the comparison words before the answer comes.  A server opens its door for a
    code within a second or two, so a door that is shut is tried again for a while.

    Raises:
        AgentFault: no node answers, or the one that does refuses.
    """
    until = clock.elapsed_ms() + DOOR_MS
    while True:
        faults: list[LineFault | WireError] = []
        for node in nodes_of(code):
            words = words_of(node, identity)
            try:
                enrolled = _register(node, code, identity, around, partial(tell, words))
            except Dismissed as error:
                raise AgentFault(str(error)) from error
            except (LineFault, WireError) as error:
                faults.append(error)
            else:
                return Registered(enrolled.agent, node.address, words, enrolled.nodes)
        is_shut = any(isinstance(fault, NotReached) for fault in faults)
        if not is_shut or clock.elapsed_ms() >= until:
            told = zip(code.addresses, faults, strict=True)
            raise Unavailable("; ".join(f"{address}: {fault}" for address, fault in told))
        time.sleep(AGAIN_SECONDS)


def registration_bundle(code: EnrollmentCode, identity: Identity) -> bytes:
    """Return the file by which an agent without a line registers."""
    session = registration_session_id(code.token)
    messages = [_enroll(code, identity)]
    frame = seal_for_bundle(session, 1, clock.now_ms(), messages, identity.sign)
    return Bundle(REGISTRATION, code.agent, ((b"", frame.octets()),)).octets()


def settle(place: Place, nodes: Sequence[Node]) -> None:
    """Let the keys that were registered count, and remember the nodes."""
    if load_next_identity(place.identity) is not None:
        promote(place.identity)
    write_nodes(place.identity, nodes)


def words_of(node: Node, identity: Identity) -> str:
    """Return what both sides show, of the keys of both."""
    frame_keys = (frame_pin(node.frame_key), frame_pin(identity.frame_public))
    return comparison_words(node.pin, identity.pin, *frame_keys)


def nodes_of(code: EnrollmentCode) -> Sequence[Node]:
    """Return the nodes that a code names; their numbers are not known yet."""
    columns = zip(code.addresses, code.pins, code.frame_keys, strict=True)
    nodes = [Node(0, address, pin, frame_key) for address, pin, frame_key in columns]
    if not is_proper(nodes):
        raise AgentFault("the enrolment code names no proper node")
    return nodes


def _register(
    node: Node,
    code: EnrollmentCode,
    identity: Identity,
    around: Surroundings,
    tell: Callable[[], None],
) -> Enrolled:
    line = open_line(node, identity, around, known=False)
    try:
        tell()
        line.stream.set_timeout(ENROLL_SECONDS)
        line.send(_enroll(code, identity))
        answer, *others = line.receive().messages
    finally:
        line.stream.close()
    if isinstance(answer, Goodbye):
        raise Dismissed(answer.code, answer.why.decode(errors="replace"))
    if not isinstance(answer, Enrolled) or others or not is_proper(answer.nodes):
        raise WireError("an answer that is none to an enrolment")
    if answer.agent != code.agent:
        raise WireError(f"an enrolment of {answer.agent!r} in the place of {code.agent!r}")
    return answer


def _enroll(code: EnrollmentCode, identity: Identity) -> Enroll:
    return Enroll(
        token=code.token,
        agent=code.agent,
        certificate=identity.certificate,
        frame_key=identity.frame_public,
        software=software(),
        versions=VERSIONS,
    )
