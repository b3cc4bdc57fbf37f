"""Threads that sign without end, so that something can happen to the store meanwhile."""

import threading
from collections import Counter
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_agent.stores.store import StoreError

ECDSA = ec.ECDSA(hashes.SHA256())
TBS = b"to be signed"


class Callers:
    """Threads that sign the same again and again and keep what came of it."""

    def __init__(self, store, count):
        key = {key.label: key for key in store.keys()}["issuing-1"]
        self._public = load_der_public_key(key.public_key)
        self._store = store
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._progress = threading.Condition(self._lock)
        self.outcomes = Counter()
        self._threads = [threading.Thread(target=self._sign) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def await_outcome(self, name, more=20):
        """Wait until so many more of one outcome were seen."""
        with self._progress:
            until = self.outcomes[name] + more
            assert self._progress.wait_for(lambda: self.outcomes[name] >= until, 30), self.outcomes

    def end(self):
        self._end.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        return self.outcomes

    def _sign(self):
        while not self._end.is_set():
            try:
                signature = self._store.sign("issuing-1", "ecdsa-sha256", TBS)
                self._public.verify(signature, TBS, ECDSA)
                outcome = "signed"
            except StoreError as error:
                outcome = error.code
            except Exception as error:  # noqa: BLE001  # a wrong signature, or what nobody expects
                outcome = repr(error)
            with self._progress:
                self.outcomes[outcome] += 1
                self._progress.notify_all()


def is_gone(process):
    """Tell whether a process has ended and was collected, so that no zombie is left."""
    return not Path(f"/proc/{process}").exists()


def verify(store, label, signature):
    """Raise unless the signature over `TBS` is that of this P-256 key."""
    (key,) = [key for key in store.keys() if key.label == label]
    load_der_public_key(key.public_key).verify(signature, TBS, ECDSA)
