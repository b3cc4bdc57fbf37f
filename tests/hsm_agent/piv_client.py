"""The YubiKey store in a process of its own: ``python -m tests.hsm_agent.piv_client FOLDER``.

Each line on standard input is a JSON list, a deed and its arguments; each line of the answer is
what came of it, also JSON.  Errors of stores are answered as ``[code, sentence]``.
"""

import collections
import json
import sys
import threading
import time
from pathlib import Path

from hsm_agent.stores.piv.opening import open_store
from hsm_agent.stores.piv.overview import plugged_in, slots
from hsm_agent.stores.piv.preparing import Fresh, change_management_key, initialise
from hsm_agent.stores.store import NewKey, StoreError
from tests.hsm_agent.piv_bench import PIN, PUK, verifies


class Client:
    """The deeds."""

    def __init__(self, folder, **settings):
        told = {
            "pin-file": "pin",
            "management-key-file": "management-key",
            "attestation-roots": ["root.pem"],
        }
        shown = {name.replace("_", "-"): value for name, value in settings.items()}
        self._store = open_store(told | shown, folder)
        self._workers = []
        self._stop = threading.Event()
        self._outcomes = collections.Counter()

    def initialise(self):
        return initialise(self._store, Fresh(PIN, PUK))

    def management_key_on_card(self):
        return change_management_key(self._store, on_card=True)

    def generate(self, slot, key_type, **policies):
        return self._store.generate(NewKey(slot, key_type, **policies)).details["attestation"]

    def state(self):
        state = self._store.state()
        return [state.state, dict(state.details)]

    def keys(self):
        return {key.label: [key.key_type, dict(key.details)] for key in self._store.keys()}

    def slots(self):
        return [slot.slot for slot in slots(self._store) if slot.key_type]

    def plugged_in(self):
        return [[card.reader, card.serial, card.why] for card in plugged_in()]

    def sign(self, slot, algorithm):
        (key,) = (key for key in self._store.keys() if key.label == slot)
        signature = self._store.sign(slot, algorithm, b"to be signed")
        return verifies(key.public_key, algorithm, b"to be signed", signature)

    def rate(self, slot, algorithm, number):
        """Return signatures a second."""
        begun = time.monotonic()
        for _ in range(number):
            self._store.sign(slot, algorithm, b"to be signed")
        return number / (time.monotonic() - begun)

    def beats_while_signing(self, slot, algorithm):
        """Return how often another thread of this process ran during one signature."""
        signing = threading.Thread(target=self._store.sign, args=(slot, algorithm, b"x"))
        signing.start()
        beats = 0
        while signing.is_alive():
            signing.join(0.01)
            beats += 1
        return beats

    def work(self, slot, algorithm, threads):
        """Let threads sign until `rest`."""
        self._stop.clear()
        self._outcomes.clear()
        self._workers = [
            threading.Thread(target=self._work, args=(slot, algorithm)) for _ in range(threads)
        ]
        for worker in self._workers:
            worker.start()
        return "working"

    def rest(self):
        """Return how often what came of it."""
        self._stop.set()
        for worker in self._workers:
            worker.join()
        return dict(self._outcomes)

    def await_outcome(self, outcome, more):
        """Wait until something came of it so many times more."""
        enough = self._outcomes[outcome] + more
        deadline = time.monotonic() + 30
        while self._outcomes[outcome] < enough and time.monotonic() < deadline:
            self._stop.wait(0.01)
        return self._outcomes[outcome] >= enough

    def close(self):
        self._store.close()
        return "closed"

    def _work(self, slot, algorithm):
        while not self._stop.is_set():
            try:
                self._store.sign(slot, algorithm, b"to be signed")
                self._outcomes["signed"] += 1
            except StoreError as error:
                self._outcomes[error.code] += 1
                self._stop.wait(0.01)


def main():
    """Do what each line says."""
    client = Client(Path(sys.argv[1]), **json.loads(sys.argv[2]))
    for line in sys.stdin:
        deed, *arguments = json.loads(line)
        try:
            told = getattr(client, deed)(*arguments)
        except StoreError as error:
            told = [error.code, str(error)]
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
