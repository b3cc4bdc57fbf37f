"""Looks at an agent from outside and says what is wrong or will be soon."""

import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hsm_agent.channel.faults import LineFault
from hsm_agent.channel.greeting import open_line
from hsm_agent.faults import AgentFault
from hsm_agent.identity.channel_keys import check_kinds, tls_library_here
from hsm_agent.identity.identity import load_identity
from hsm_agent.identity.nodes import read_nodes
from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.verify import verify
from hsm_agent.places import Place
from hsm_agent.policy_file import load_policy
from hsm_agent.settings.settings import Settings, load_settings
from hsm_agent.surroundings import surroundings
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frame_kinds import pinned_kind

OK, WARNING, BAD = "ok", "warning", "bad"
LEAST_FREE_OCTETS = 256 << 20
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

Status = Callable[[], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ``how`` is ``ok``, ``warning`` or ``bad``."""

    what: str
    how: str
    text: str


def examine(place: Place, status: Status, *, running: bool) -> Iterator[Finding]:
    """Yield everything that was looked at; ``status`` asks the agent, or opens it here."""
    try:
        settings = load_settings(place)
    except AgentFault as error:
        yield Finding("settings", BAD, str(error))
        return
    yield Finding("settings", OK, str(place.settings))
    yield from _folder(place)
    yield from _policy(place, settings)
    yield from _journal(place, settings)
    yield from _guarded("identity", lambda: _nodes(place, settings, running=running))
    yield Finding("agent", OK if running else WARNING, "runs" if running else "does not run")
    yield from _guarded("agent", lambda: _inside(status()))


def _guarded(what: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except (AgentFault, JournalFault) as error:
        yield Finding(what, BAD, str(error))


def _folder(place: Place) -> Iterator[Finding]:
    mode = place.folder.stat().st_mode
    if mode & _OTHERS:
        yield Finding("folder", BAD, f"others may look into {place.folder}: chmod 700")
    free = shutil.disk_usage(place.folder).free
    how = OK if free > LEAST_FREE_OCTETS else BAD
    yield Finding("disk", how, f"{free >> 20} MiB free; without room for the journal nothing signs")


def _policy(place: Place, settings: Settings) -> Iterator[Finding]:
    path = place.within(settings.policy)
    try:
        policy = load_policy(path)
    except AgentFault as error:
        yield Finding("policy", BAD, str(error))
        return
    yield Finding("policy", OK, str(path))
    for warning in policy.warnings():
        yield Finding("policy", WARNING, warning)
    owner, agent = path.stat(), place.folder.stat()
    if owner.st_uid == agent.st_uid != 0 or owner.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        text = f"the agent's own user can change {path}: chown root, chmod 644"
        yield Finding("policy", WARNING, text)


def _journal(place: Place, settings: Settings) -> Iterator[Finding]:
    folder = place.within(settings.journal)
    if not folder.exists():
        yield Finding("journal", OK, "nothing has happened yet")
        return
    try:
        report = verify(folder)
    except JournalFault as error:
        yield Finding("journal", BAD, str(error))
        return
    if report.sound:
        yield Finding("journal", OK, f"{report.lines} lines, each continues the one before")
    for fault in report.faults:
        yield Finding("journal", BAD, f"{fault.file}, line {fault.place}: {fault.what}")


def _nodes(place: Place, settings: Settings, *, running: bool) -> Iterator[Finding]:
    """Dial every node as the agent would, up to the pin; a running agent tells itself."""
    identity = load_identity(place.identity)
    kinds = identity.kinds
    shown = f"sha256:{identity.pin.hex()}, {kinds.tls} for TLS, {kinds.frames} for frames"
    yield Finding("identity", OK, shown)
    yield Finding("TLS library", OK, str(tls_library_here()))
    check_kinds(kinds)
    nodes = read_nodes(place.identity)
    for node in nodes:
        text = f"node {node.number} at {node.address}: {pinned_kind(node.frame_key)} for frames"
        yield Finding("pinned", OK, text)
    if running:
        return
    around = surroundings(place, settings.line)
    for node in nodes:
        try:
            open_line(node, identity, around, known=True).stream.close()
        except (LineFault, WireError) as error:
            yield Finding("node", BAD, str(error))
        else:
            yield Finding("node", OK, f"{node.address} has the key that is pinned")


def _inside(status: Mapping[str, object]) -> Iterator[Finding]:
    for line in _records(status, "lines"):
        up = line["state"] == "up"
        text = f"node {line['node']} at {line['address']}: {line['state']}"
        yield Finding("line", OK if up else BAD, text if up else f"{text}, {line['fault']}")
    for store in _records(status, "stores"):
        ready = store["state"] == "ready"
        yield Finding("store", OK if ready else BAD, f"{store['name']}: {store['state']}")
        if store["kind"] == "software":
            text = f"{store['name']} is for trials: its keys are files"
            yield Finding("store", WARNING, text)
    for key in _records(status, "keys"):
        ready = key["state"] == "ready"
        yield Finding("key", OK if ready else WARNING, f"{key['name']}: {key['state']}")


def _records(status: Mapping[str, object], name: str) -> Sequence[Mapping[str, object]]:
    found = status.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
