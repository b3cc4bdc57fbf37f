"""Finds who does a deed: the agent that runs on a data folder, or this process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hsm_agent.control.client import AgentRuns, connect
from hsm_agent.places import Place

Do = Callable[..., object]


@contextmanager
def reach(data: Path) -> Iterator[Do]:
    """Return what does deeds, as ``do(deed, **arguments)``, while the block runs.

    Tokens are for one process at a time, so a running agent is asked; where none runs, the
    folder is opened here.

    Raises:
        AgentFault: there is no such folder, or its settings are wrong.
    """
    place = Place(data)
    if runs(data):
        yield AgentRuns(place.socket).do
        return
    from hsm_agent.agent import open_agent
    from hsm_agent.control.deeds import Deeds

    agent = open_agent(place)
    try:
        agent.keyring.refresh()
        deeds = Deeds(agent)

        def do(deed: str, **arguments: object) -> object:
            return deeds.do(deed, arguments)

        yield do
    finally:
        agent.close()


def runs(data: Path) -> bool:
    """Tell whether an agent runs on a data folder."""
    connection = connect(Place(data).socket)
    if connection is not None:
        connection.close()
    return connection is not None
