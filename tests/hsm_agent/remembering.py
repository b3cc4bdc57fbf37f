"""A journal with its memory, and the lines that matter to it."""

import hashlib
from contextlib import ExitStack
from datetime import UTC, datetime

from hsm_agent.journal.journal import Journal
from hsm_agent.journal.memory import JournalMemory
from tests.hsm_agent.journals import NOW, Clock

KEY = hashlib.sha256(b"a key").digest()
OTHER = hashlib.sha256(b"another key").digest()
WHEN = datetime.fromtimestamp(NOW / 1000, UTC)


class Remembering:
    """A journal and its memory in one folder."""

    def __init__(self, folder, clock=None):
        self.folder = folder
        self.clock = clock or Clock()
        self.open()

    def open(self):
        with ExitStack() as stack:
            self.journal = Journal(self.folder / "journal", self.clock)
            stack.callback(self.journal.close)
            self.memory = JournalMemory(self.journal, self.folder / "state")
            stack.callback(self.memory.close)
            self._stack = stack.pop_all()

    def close(self):
        self._stack.close()

    def again(self, *, forget=False):
        """Close and open, with the index or without."""
        self.close()
        if forget:
            (self.folder / "state" / "journal-index").unlink()
        self.open()

    def sign(self, tbs, *, key=KEY, kind="cert", **facts):
        """Journal that something was allowed."""
        return self.journal.append("sign", **sign_line(tbs, key=key, kind=kind, **facts))


def tbs_hash(tbs):
    return hashlib.sha256(tbs).digest()


def sign_line(tbs, *, key=KEY, kind="cert", **facts):
    named = {name.replace("_", "-"): value for name, value in facts.items()}
    return {"key": key.hex(), "kind": kind, "tbs": tbs_hash(tbs).hex(), **named}


def crl_facts(number, scope="complete", when=WHEN):
    return {"crl_number": str(number), "scope": scope, "this_update": when.isoformat()}
