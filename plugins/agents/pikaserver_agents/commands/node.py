"""``pikaserver agent node list | rotate | retire``: the keys by which agents know the nodes."""

import click

from pikaserver.api.commands import Record, console
from pikaserver.api.errors import Conflict, NotFound
from pikaserver_agents.directory import View
from pikaserver_agents.moments import moment
from pikaserver_agents.office import office_of
from pikaserver_agents.storage import node_keys
from pikaserver_agents.storage.agents import AgentState
from pikaserver_agents.storage.node_keys import NodeKey


@click.group()
def node() -> None:
    """Look after the keys by which agents know the nodes of this server.

    Of which kinds a node's keys are is said by tls-key and frame-key of [plugins.agents].  Agents
    are told of new ones over their lines and follow by themselves; agents without a line get them
    with a code of 'agent rotate'.
    """


@node.command("list")
def list_node_keys() -> None:
    """List all keys, and which agents know a node by them."""
    desk = console()
    with desk.server() as server:
        office = office_of(server)
        office.identities.ensure()
        view = office.directory.refresh()
        desk.write([_record(view, key) for key in view.node_keys])


@node.command()
def rotate() -> None:
    """Give this node new keys, of the kinds in the settings.

    The old ones go on until they are retired.
    """
    desk = console()
    with desk.server() as server:
        office = office_of(server)
        office.identities.ensure()
        generation = office.maker.add_generation()
        view = office.directory.refresh()
        keys = view.keys_of(server.node)
        (made,) = (key for key in keys if key.generation == generation)
        desk.write(_record(view, made))


@node.command()
@click.argument("number", type=int, metavar="NODE")
@click.argument("generation", type=int)
@click.option("--force", is_flag=True, help="Even though agents know the node by these keys.")
def retire(number: int, generation: int, *, force: bool) -> None:
    """Let keys of a node count no more.

    Agents that know the node by them only have to be enrolled again, with 'agent rotate'.
    """
    desk = console()
    with desk.server() as server:
        office = office_of(server)
        view = office.directory.refresh()
        keys = [key for key in view.keys_of(number) if key.generation == generation]
        if not keys:
            raise NotFound(f"node {number} has no keys of generation {generation}")
        if keys == view.keys_of(number):
            raise Conflict(f"node {number} has no other keys: 'agent node rotate' makes some")
        bound = _known_by(view, keys[0])
        if bound and not force:
            raise Conflict(
                f"known by these keys to {', '.join(bound)}; --force retires them anyway"
            )
        with server.database.transaction() as connection:
            node_keys.retire(connection, number, generation)
            server.audit.record(
                connection, "agent.node-retired", desk.actor, node=number, generation=generation
            )
        office.directory.refresh()
    desk.write({"node": number, "generation": generation, "retired": True})


def _record(view: View, key: NodeKey) -> Record:
    return {
        "node": key.node.number,
        "generation": key.generation,
        "tls": key.kinds.tls,
        "frames": key.kinds.frames,
        "since": moment(key.since),
        "known_to": ", ".join(_known_by(view, key)),
        "pin": f"sha256:{key.node.pin.hex()}",
    }


def _known_by(view: View, key: NodeKey) -> list[str]:
    """Return the agents that know the node by these keys; of some it is not known yet."""
    number = key.node.number
    return [
        name
        for name, row in view.agents.items()
        if row.state is not AgentState.RETIRED
        and view.known.get((name, number), node_keys.FIRST) == key.generation
    ]
