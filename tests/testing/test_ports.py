"""Ports of tests are nobody else's from their choice to the start of a server."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pikaserver.testing.ports import HIGHEST, LOWEST, Ports

OTHER_PROCESS = """
import sys
from pathlib import Path
from pikaserver.testing.ports import Ports
ports = Ports(Path(sys.argv[1]), 7)
print(*[ports.take() for _ in range(5)])
"""
SYSTEMS_OWN = Path("/proc/sys/net/ipv4/ip_local_port_range")


def others(file):
    """Return what another process takes, which begins at the same place."""
    command = [sys.executable, "-c", OTHER_PROCESS, str(file)]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(word) for word in told.stdout.split()]


def test_no_port_is_given_twice(tmp_path):
    """Neither by this process nor by another one, as long as this one lives."""
    file = tmp_path / "ports"
    ports = Ports(file, 7)

    ours = [ports.take() for _ in range(5)]
    theirs = others(file)
    later = [ports.take() for _ in range(5)]

    assert 10 == len({*ours, *theirs}) == len({*ours, *later})
    assert all(LOWEST <= port < HIGHEST for port in (*ours, *theirs, *later))


def test_the_port_behind_each_is_nobodys(tmp_path):
    """A first start lets agents dial it."""
    ports = Ports(tmp_path / "ports", 7)

    taken = [ports.take() for _ in range(50)]

    assert not {port + 1 for port in taken} & set(taken)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_on_which_somebody_listens_is_left_out(tmp_path, kind):
    """Whatever program it is."""
    first = Ports(tmp_path / "first", 7).take()
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", first))

        assert first != Ports(tmp_path / "second", 7).take()


@pytest.mark.skipif(not SYSTEMS_OWN.exists(), reason="only Linux tells its range there")
def test_the_system_hands_out_none_of_them():
    """To a socket that names no port, or to a connection."""
    lowest, highest = map(int, SYSTEMS_OWN.read_text().split())

    assert not set(range(LOWEST, HIGHEST + 1)) & set(range(lowest, highest + 1))
