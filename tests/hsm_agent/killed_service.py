"""A service that dies at a step of a signature; run by test_journal_kills in a child process.

``python -m tests.hsm_agent.killed_service FOLDER STEP``: every use of a key is noted in
``FOLDER/used``, on disk before the key is used, and every answer in ``FOLDER/answered``.
"""

import hashlib
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hsm_agent import clock
from hsm_agent.wire.messages import Signed
from tests.hsm_agent.service_side import MemoryStore, ServiceSide
from tests.hsm_agent.structures_to_sign import leaf_tbs

THREADS = 4


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


class Evidence:
    """Hashes in a file, each on disk when `add` returns."""

    def __init__(self, path):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def add(self, octets):
        os.write(self._file, hashlib.sha256(octets).digest())
        os.fsync(self._file)


class WatchedStore(MemoryStore):
    """Notes the use of a key before it happens."""

    def __init__(self, used):
        super().__init__()
        self._used = used

    def sign(self, label, algorithm, data):
        self._used.add(data)
        return super().sign(label, algorithm, data)


def cut_line(_side):
    """Die with half of the ``sign`` line written."""
    write = os.write

    def half(file, octets):
        if b'"event":"sign"' in octets:
            write(file, octets[: len(octets) // 2])
            die()
        return write(file, octets)

    os.write = half


def at_sign(deed):
    """Do it when the line of a signature is written and not yet synced."""

    def sync(file):
        if b'"event":"sign"' in Path(f"/proc/self/fd/{file}").read_bytes():
            deed()
        os.fdatasync(file)

    return sync


def before_sync(side):
    side.sync = at_sign(die)


def after_sync(side):
    side.journal.watch(lambda _, line: die() if line["event"] == "sign" else None)


def in_token(side):
    side.store.before = die


def after_signature(side):
    side.store.spoil = die


def at_outcome(side):
    note_all = side.journal.note_all

    def noting(event, lines):
        note_all(event, lines)
        if event == "signed":
            die()

    side.journal.note_all = noting


STEPS = {
    "within the line": cut_line,
    "before the sync": before_sync,
    "after the sync": after_sync,
    "in the token": in_token,
    "after the signature": after_signature,
    "at the outcome": at_outcome,
    "whenever": lambda _side: None,
}


def main():
    folder, step = Path(sys.argv[1]), sys.argv[2]
    used, answered = Evidence(folder / "used"), Evidence(folder / "answered")
    side = ServiceSide(folder, clock=clock.now_ms, store=WatchedStore(used))
    key = side.authority()
    STEPS[step](side)
    sys.stdout.write("ready\n")
    sys.stdout.flush()

    def ask(number):
        tbs = leaf_tbs(clock.now_ms(), serial=number)
        answer = side.sign(key, tbs)
        if isinstance(answer, Signed):
            answered.add(tbs)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(ask, range(1, 1 << 20)))


if __name__ == "__main__":
    main()
