"""The nodes that the agent knows: addresses, pins and frame keys, in ``identity/nodes.json``.

Of a frame key that no node has shown yet there is only the pin that the enrolment code held.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from hsm_agent.faults import SettingsFault
from hsm_agent.private_files import read_private, write_private
from hsm_agent.wire.frame_kinds import is_frame_pin
from hsm_agent.wire.messages import Node

PIN_OCTETS = 32
MOST_NODES = 64
_FILE = "nodes.json"


def read_nodes(folder: Path) -> tuple[Node, ...]:
    """Return the nodes in the order in which they were learned.

    Raises:
        SettingsFault: there is no such file, or it is not what `write_nodes` wrote.
    """
    file = folder / _FILE
    if not file.exists():
        raise SettingsFault(
            f"{file} is not there: enrol this agent first, with 'hsm-agent enroll CODE'"
        )
    octets = read_private(file)
    try:
        nodes = tuple(_node(**entry) for entry in json.loads(octets))
    except (ValueError, TypeError, RecursionError) as error:
        raise SettingsFault(f"{file} is not what an enrolment wrote: {error}") from error
    if not nodes:
        raise SettingsFault(f"{file} names no node")
    return nodes


def has_nodes(folder: Path) -> bool:
    """Tell whether an enrolment was brought to its end here."""
    return (folder / _FILE).exists()


def write_nodes(folder: Path, nodes: Sequence[Node]) -> None:
    """Remember these nodes and no others."""
    entries = [
        {
            "number": node.number,
            "address": node.address,
            "pin": node.pin.hex(),
            "frame_key": node.frame_key.hex(),
        }
        for node in nodes
    ]
    write_private(folder / _FILE, json.dumps(entries, indent=2).encode() + b"\n")


def is_proper(nodes: Sequence[Node]) -> bool:
    """Tell whether a list of nodes that the server sent can be used."""
    return 0 < len(nodes) <= MOST_NODES and all(
        len(node.pin) == PIN_OCTETS and is_frame_pin(node.frame_key) and host_and_port(node.address)
        for node in nodes
    )


def host_and_port(address: str) -> tuple[str, int] | None:
    """Return the halves of ``host:port`` or ``[::1]:port``, ``None`` where it is neither."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdecimal() and int(port) < 1 << 16):
        return None
    return host.removeprefix("[").removesuffix("]"), int(port)


def _node(*, number: int, address: str, pin: str, frame_key: str) -> Node:
    if not isinstance(number, int) or not isinstance(address, str):
        raise TypeError("a number or an address that is none")
    node = Node(number, address, bytes.fromhex(pin), bytes.fromhex(frame_key))
    if not is_proper([node]):
        raise ValueError(f"{address!r} is no proper node")
    return node
