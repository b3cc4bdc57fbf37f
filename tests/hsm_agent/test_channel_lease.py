"""The right to sign ends by itself when the server is not heard, and after a stop."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hsm_agent import clock
from hsm_agent.channel.faults import Lost
from hsm_agent.channel.lease import Lease
from hsm_agent.wire.messages import Ping, Pong, Refused, Signed, Welcome
from tests.hsm_agent.agent_side import MARK, AgentSide, sign_request
from tests.hsm_agent.wire_server import LONG, Gone, WireServer

SERVER = 1_000_000_000
"""The server's time when it answered the greeting."""
DEAD = 3000
"""Milliseconds for an agent in a process of its own; it is stopped for longer."""


class Elapsed:
    """Time that a test moves."""

    def __init__(self):
        self.at = 5000

    def __call__(self):
        return self.at


@pytest.fixture
def time():
    return Elapsed()


def test_a_ping_renews_and_silence_ends(time):
    """By default three heartbeats may be missing."""
    lease = Lease(1500, time(), SERVER, time)
    time.at += 1400
    assert lease.renew(SERVER + 1390)

    time.at += 1489
    assert lease.may_sign()
    time.at += 1

    assert not lease.may_sign()


def test_a_ping_that_lay_in_a_buffer_is_old_when_it_is_read(time):
    """Its age is counted from when the server sent it."""
    lease = Lease(1500, time(), SERVER, time)
    time.at += 10_000

    assert not lease.renew(SERVER + 1000)
    assert not lease.may_sign()
    assert lease.renew(SERVER + 9900)


def test_clocks_of_any_two_hosts_can_be_compared(time):
    """The offset is taken at the handshake; only differences count."""
    lease = Lease(1500, time(), 42, time)
    time.at += 1000

    assert lease.renew(42 + 1000)
    assert 0 == lease.age()


def test_a_ping_from_the_future_does_not_lengthen_the_lease(time):
    """A clock that jumps ahead buys nothing."""
    lease = Lease(1500, time(), SERVER, time)
    lease.renew(SERVER + 20_000)
    time.at += 1500

    assert not lease.may_sign()


def test_a_handshake_that_took_long_makes_no_lease(time):
    """Ages could be wrong by as much as it took."""
    asked = time()
    time.at += 751

    with pytest.raises(Lost, match="751 ms"):
        Lease(1500, asked, SERVER, time)


def living(node, dead):
    """Return a line that answers a Ping; the agent dials again where the machine was too slow."""
    while True:
        line = node.accept()
        try:
            line.welcome(heartbeat=100, dead=dead)
            line.send(Ping())
            line.receive(Pong)
        except Gone:
            line.close()
            continue
        return line


def test_a_half_open_line_is_dropped_and_dialled_again(tmp_path):
    """Nothing comes and nothing is closed: after `dead` the agent leaves."""
    side = AgentSide(tmp_path / "agent")
    node = WireServer(tmp_path / "node", agents=[side.identity])
    side.lines.start([node.node()])
    line = living(node, dead=1000)

    assert line.is_gone()
    node.accept()

    (view,) = side.lines.views()
    assert "the server has been silent for too long" == view.fault
    side.close()
    node.close()


def test_requests_without_pings_are_refused_once_the_lease_has_run_out(tmp_path):
    """Octets that move are no sign of life: a Ping is."""
    skipped = [0]
    side = AgentSide(
        tmp_path / "agent", threads=1, window=1, elapsed=lambda: clock.elapsed_ms() + skipped[0]
    )
    node = WireServer(tmp_path / "node", agents=[side.identity])
    side.lines.start([node.node()])
    line = node.accept()
    line.welcome()
    side.gate.clear()
    line.send(sign_request(1), Ping())
    line.receive(Pong)

    skipped[0] = LONG
    # Frames go on and on, but none is a Ping; that the window is full is said behind them.
    for _ in range(3):
        line.send(Welcome(1, 1, (node.node(),), 500, LONG, MARK))
    line.send(sign_request(2))
    assert "busy" == line.receive(Refused).code
    side.gate.set()

    assert "expired" == line.receive(Refused).code
    line.send(Ping())
    assert line.is_gone()
    assert [] == side.answered
    side.close()
    node.close()


AGENT = """
import json, sys
from pathlib import Path
from hsm_agent.wire.messages import Node
from tests.hsm_agent.agent_side import AgentSide

side = AgentSide(Path(sys.argv[1]))
identity = side.identity
print(json.dumps([identity.certificate.hex(), identity.frame_public.hex()]), flush=True)
number, address, pin, key = json.loads(sys.stdin.readline())
side.lines.start([Node(number, address, bytes.fromhex(pin), bytes.fromhex(key))])
sys.stdin.readline()
side.close()
print(json.dumps([int.from_bytes(request.id, "big") for request in side.answered]))
"""


class Public:
    """What a server knows of an agent."""

    def __init__(self, certificate, frame_public):
        self.certificate = bytes.fromhex(certificate)
        self.frame_public = bytes.fromhex(frame_public)


def test_a_stopped_agent_that_wakes_signs_nothing_of_what_queued_up(tmp_path):
    """SIGSTOP: the server goes to another agent, so what waited here must not be signed too."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(tmp_path / "agent")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    with process:
        public = Public(*json.loads(process.stdout.readline()))
        node = WireServer(tmp_path / "node", agents=[public])
        known = node.node()
        words = [known.number, known.address, known.pin.hex(), known.frame_key.hex()]
        process.stdin.write(json.dumps(words) + "\n")
        process.stdin.flush()
        line = living(node, dead=DEAD)
        line.beat(0.05)
        line.send(sign_request(1))
        line.receive(Signed)

        process.send_signal(signal.SIGSTOP)
        silent(line, node)
        line.send(sign_request(2))
        process.send_signal(signal.SIGCONT)
        again = node.accept()
        again.welcome()
        again.send(sign_request(3))
        again.receive(Signed)
        process.stdin.write("\n")
        process.stdin.flush()
        signed = json.loads(process.stdout.readline())
        node.close()

    assert [1, 3] == signed


def silent(line, node):
    """Wait until the agent has answered no Ping for longer than it may be silent."""
    node_clock = node.now
    heard = node_clock()
    line.line.settimeout(1.2 * DEAD / 1000)
    try:
        while node_clock() - heard < LONG:
            line.delivery()
    except TimeoutError:
        return
    raise AssertionError("a stopped agent answers")
