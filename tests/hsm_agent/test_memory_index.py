"""The index of the journal: fitting it, made again, or stopping what needs it."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.journal import Journal
from tests.hsm_agent.journals import month_file, octet_lines
from tests.hsm_agent.remembering import (
    KEY,
    WHEN,
    Remembering,
    sign_line,
    tbs_hash,
)


@pytest.fixture
def side(tmp_path):
    made = Remembering(tmp_path)
    yield made
    made.close()


def test_a_shorter_journal_than_the_index_stops_the_start(side):
    """Lines that the memory had taken in are gone: what they said would be forgotten."""
    for number in range(4):
        side.sign(b"%d" % number)
    side.close()
    path = month_file(side.folder / "journal")
    path.write_bytes(b"".join(octet_lines(side.folder / "journal")[:2]))

    with pytest.raises(JournalFault, match="lines were lost or altered"):
        side.open()
    (side.folder / "state" / "journal-index").unlink()
    side.open()


def test_another_journal_than_the_index_was_made_from_stops_the_start(side):
    """As long, and another chain."""
    side.sign(b"1")
    side.close()
    month_file(side.folder / "journal").unlink()
    with closing(Journal(side.folder / "journal", side.clock)) as journal:
        journal.append("forged")

    with pytest.raises(JournalFault, match="is not the one"):
        side.open()
    month_file(side.folder / "journal").unlink()
    (side.folder / "state" / "journal-index").unlink()
    side.open()


def test_a_damaged_index_is_made_again(side):
    """It holds nothing that the journal does not."""
    side.sign(b"leaf", serial="7", not_after=WHEN.isoformat())
    side.close()
    (side.folder / "state" / "journal-index").write_bytes(b"no database at all" * 500)
    side.open()

    assert tbs_hash(b"leaf") == side.memory.serial_use(KEY, 7)


def test_an_index_of_another_version_is_made_again(side):
    """A newer agent's index is not guessed at."""
    side.sign(b"leaf", serial="7", not_after=WHEN.isoformat())
    side.close()
    with closing(sqlite3.connect(side.folder / "state" / "journal-index")) as index:
        index.execute("PRAGMA user_version = 99")
    side.open()

    assert tbs_hash(b"leaf") == side.memory.serial_use(KEY, 7)


def test_a_line_that_is_not_understood_stops_the_start(side):
    """A memory with gaps is none."""
    side.close()
    with closing(Journal(side.folder / "journal", side.clock)) as journal:
        journal.append("sign", key="no hexadecimal")

    with pytest.raises(JournalFault, match="line 1 cannot be taken"):
        side.open()
    month_file(side.folder / "journal").unlink()
    side.open()


def test_an_index_that_cannot_be_written_stops_decisions_until_it_can(side):
    """Nothing is decided on a memory that misses lines, and later it misses none."""
    side.sign(b"before", serial="1", not_after=WHEN.isoformat())
    side.again()
    blocker = sqlite3.connect(side.folder / "state" / "journal-index", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    side.sign(b"meanwhile", serial="2", not_after=WHEN.isoformat())
    with pytest.raises(JournalFault, match="index"):
        side.memory.changes(KEY, "complete", [], [])  # for this it has to be written
    with pytest.raises(JournalFault, match="index"), side.memory.deciding(KEY):
        pass
    blocker.execute("ROLLBACK")
    blocker.close()

    with side.memory.deciding(KEY):
        assert tbs_hash(b"meanwhile") == side.memory.serial_use(KEY, 2)
        assert tbs_hash(b"before") == side.memory.serial_use(KEY, 1)
    assert {"cert": 2} == dict(side.memory.signed_since(KEY, WHEN - timedelta(hours=1), b""))


def test_a_start_after_many_lines_reads_only_the_last_ones(side, monkeypatch):
    """The index is committed while the agent runs: a kill costs seconds, not the whole journal."""
    for number in range(5000):
        side.journal.note(
            "sign", **sign_line(b"%d" % number, serial="7"), **{"not-after": WHEN.isoformat()}
        )
    side.journal.append("end")
    with closing(sqlite3.connect(side.folder / "state" / "journal-index")) as index:
        kept = index.execute("SELECT line FROM mark").fetchone()[0]

    assert 4000 <= kept <= 5001
    read, stream = [], Journal.stream

    def counted(journal, first):
        for one in stream(journal, first):
            read.append(one)
            yield one

    monkeypatch.setattr(Journal, "stream", counted)
    side.again()
    assert len(read) <= 5001 - kept


def test_lines_after_the_end_are_taken_in_at_the_next_start(side):
    """The memory closes before the journal: an outcome that was only noted is not lost."""
    line = sign_line(b"late", serial="9", not_after=WHEN.isoformat())
    side.journal.note("sign", **line)
    side.again()

    assert tbs_hash(b"late") == side.memory.serial_use(KEY, 9)
