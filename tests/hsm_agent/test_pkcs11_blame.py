"""Who is blamed when a worker ends: what it had begun and not answered, and nothing else."""

import os
import socket
import threading
from pathlib import Path
from queue import SimpleQueue

import pytest

from hsm_agent.stores.pkcs11 import worker_process
from hsm_agent.stores.pkcs11.begun import Begun
from hsm_agent.stores.pkcs11.pipe import Pipe, framed
from hsm_agent.stores.pkcs11.pipeline import Pipeline
from hsm_agent.stores.pkcs11.worker_process import WorkerProcess
from hsm_agent.stores.store import TokenFault
from pikaserver.testing.patience import SECONDS

SIGN = {"do": "sign"}
READY = {"n": 0}


class PlayedWorker:
    """A worker whose every step the test takes; see `WorkerProcess`."""

    number = 1

    def __init__(self):
        self.pipe, self.asked = map(Pipe, socket.socketpair())
        shared = Begun.new()
        self.begun = Begun(shared)
        os.close(shared)
        self.killed = threading.Event()
        self.before_end = lambda: None

    def send(self, octets, meanwhile):
        self.pipe.send(octets, meanwhile)

    def answer(self, request):
        self.asked.send(framed({"n": request["n"], "signature": b"s"}))

    def kill(self):
        """End it; what it gives in its last moment still arrives."""
        self.before_end()
        self.killed.set()
        self.asked.end()

    def ended(self):
        self.asked.close()
        self.pipe.close()
        return "of SIGKILL"


@pytest.fixture
def workers():
    return SimpleQueue()


@pytest.fixture
def pipeline(workers):
    started = []

    def start(_):
        started.append(PlayedWorker())
        workers.put(started[-1])
        return started[-1]

    made = Pipeline(start, window=16)
    yield made
    started[-1].kill()
    made.close()


@pytest.fixture
def asking(pipeline):
    """Ask in a thread; the outcome arrives in the queue that is returned."""

    def ask(limit=SECONDS, **options):
        came = SimpleQueue()

        def wait():
            try:
                came.put(pipeline.ask(SIGN, limit, **options))
            except TokenFault as fault:
                came.put(str(fault))

        threading.Thread(target=wait, daemon=True).start()
        return came

    return ask


def descriptors():
    return {each.name for each in Path("/proc/self/fd").iterdir()}


def answer_all(worker, outcomes):
    """Answer whatever comes, until there are these outcomes."""
    worker.asked.send(framed(READY))
    for _ in outcomes:
        worker.answer(worker.asked.receive())
    return [outcome.get(timeout=SECONDS) for outcome in outcomes]


def test_an_answer_in_the_last_moment_leaves_nobody_to_blame(asking, workers, monkeypatch):
    """It came as the worker was killed for it: those behind it were never begun."""
    now = [0.0]
    monkeypatch.setattr("hsm_agent.stores.pkcs11.pipeline.time.monotonic", lambda: now[0])
    monkeypatch.setattr("hsm_agent.stores.pkcs11.pipeline._START_SECONDS", 0.0)
    first = asking(0.2)
    worker = workers.get(timeout=SECONDS)
    worker.asked.send(framed(READY))
    begun = worker.asked.receive()
    worker.begun.note(begun["n"])
    others = [asking(), asking(once=True)]
    behind = [worker.asked.receive() for _ in others]
    worker.before_end = lambda: worker.answer(begun)
    now[0] += 1.0

    assert worker.killed.wait(SECONDS)

    assert b"s" == first.get(timeout=SECONDS)["signature"]
    found = answer_all(workers.get(timeout=SECONDS), others)
    assert len(behind) * [b"s"] == [one["signature"] for one in found]


def test_what_may_be_tried_once_only_was_not_tried_before_it_was_begun(asking, workers):
    """A worker that is killed before it begins a login has not used up a PIN."""
    login = asking(once=True)
    worker = workers.get(timeout=SECONDS)
    worker.asked.send(framed(READY))
    worker.asked.receive()

    worker.kill()

    [found] = answer_all(workers.get(timeout=SECONDS), [login])
    assert b"s" == found["signature"]


def test_what_may_be_tried_once_only_and_was_begun_is_not_sent_again(asking, workers):
    """Whether the token got the PIN is not known; the next one is served all the same."""
    login = asking(once=True)
    worker = workers.get(timeout=SECONDS)
    worker.asked.send(framed(READY))
    worker.begun.note(worker.asked.receive()["n"])
    other = asking()
    worker.asked.receive()

    worker.kill()

    assert "of SIGKILL with this request" in login.get(timeout=SECONDS)
    answer_all(workers.get(timeout=SECONDS), [other])


def test_a_worker_that_signs_between_its_deaths_is_started_at_once(asking, workers):
    """Its answers were lost with it; that it had some tells that the module still works."""
    outcomes = [asking() for _ in range(3)]
    for left in (3, 3, 2, 2):
        worker = workers.get(timeout=SECONDS)
        worker.asked.send(framed(READY))
        newest = [worker.asked.receive() for _ in range(left)][-1]
        worker.begun.note(newest["n"])
        worker.kill()

    worker = workers.get(timeout=SECONDS)
    worker.answer(worker.asked.receive())

    found = [outcome.get(timeout=SECONDS) for outcome in outcomes]
    assert 1 == sum("signature" in one for one in found)
    assert 2 == sum("of SIGKILL with this request" in one for one in found)


@pytest.mark.parametrize(
    "place", ["begun.mmap.mmap", "begun.os.memfd_create", "worker_process._started"]
)
def test_a_start_that_fails_leaves_no_descriptor_open(monkeypatch, place):
    """It is tried again and again, where an agent has too many open already."""

    def refuse(*_):
        raise OSError("too many open files")

    monkeypatch.setattr(f"hsm_agent.stores.pkcs11.{place}", refuse)
    before = descriptors()

    for _ in range(3):
        with pytest.raises(OSError, match="too many open files"):
            WorkerProcess({}, {})

    assert descriptors() <= before


def test_a_worker_that_ended_leaves_no_descriptor_open(monkeypatch):
    """Nor does it leave memory that was shared with it."""
    before = descriptors()
    monkeypatch.setattr(worker_process, "_MODULE", "this")

    for _ in range(2):
        worker = WorkerProcess({}, {})
        assert "exit code" in worker.ended()
        worker.begun.close()

    assert descriptors() <= before
