"""A thousand devices at once before a card that signs twenty times a second."""

import sys
import threading
import time
from collections import Counter

import pytest

from pikaserver.testing.signing_agents import ready_agents
from tests.agents_failover.enrolling import Enrolling
from tests.agents_yubikey.desk import desk

DEVICES = 1000
SIGNATURE_SECONDS = 0.02
WINDOW = 64
PATIENCE_SECONDS = 240
LIMITS = """
[limits]
connections = 3000
connections-per-address = 3000
workers = 100
waiting-requests = 500
"""


@pytest.fixture
def slow_desk(tmp_path):
    """Give a desk whose card takes its time; many requests may reach the agent at once."""
    with desk(tmp_path, "--delay", f"ECCP256={SIGNATURE_SECONDS}", settings=LIMITS) as made:
        made.ca("hw", "--parent", "root", "--key", "agent:vault-a/9c", "--key-type", "ec-p256")
        made.wish = made.template("hw")
        yield made


@pytest.mark.timeout(600)
def test_a_thousand_devices_all_get_their_certificate(slow_desk, record_property):
    """Whoever finds the queue full is told when to come again, and gets it then; none is lost."""
    devices = Enrolling([slow_desk.server], *slow_desk.wish)
    outcomes = Counter()
    began = time.monotonic()
    clients = [threading.Thread(target=persist, args=(devices, outcomes)) for _ in range(DEVICES)]
    for client in clients:
        client.start()

    most = 0
    while any(client.is_alive() for client in clients):
        most = max(most, *ready_agents(slow_desk.server).values(), 0)
        assert time.monotonic() - began < PATIENCE_SECONDS, outcomes
        time.sleep(0.2)

    took = time.monotonic() - began
    statuses = devices.statuses()
    sys.stdout.write(
        f"{DEVICES} devices in {took:.0f} s, at most {most} at the agent at once, {statuses}\n"
    )
    record_property("seconds for a thousand devices", round(took))
    assert {200, 503} >= set(statuses)
    assert all(one.retry_after for one in devices.answers if one.status == 503)
    assert DEVICES == statuses[200] == len(set(devices.certificates()))
    assert most <= WINDOW
    signed = [line["tbs"] for line in slow_desk.agent.journal() if line["event"] == "sign"]
    assert len(signed) == len(set(signed))


def persist(devices, outcomes):
    """Enrol one device, as often as the server asks for it."""
    while True:
        try:
            answer = devices.once()
        except OSError as error:
            outcomes[type(error).__name__] += 1
            time.sleep(1)
            continue
        if answer.status == 200:
            return
        outcomes[answer.text] += 1
        time.sleep(int(answer.retry_after))
