"""What a crash left of the journal: told and cut off, and never taken for an alteration."""

import pytest

from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.line import decode, line_hash
from hsm_agent.journal.verify import verify
from tests.hsm_agent.journals import (
    NEXT_MONTH,
    Clock,
    events,
    month_file,
    octet_lines,
    open_journal,
    room_for,
)


@pytest.mark.parametrize(
    "torn", [b'{"event":"si', b"\0" * 5000, b'{"event":"sign"}', b"\xff\n\0\n"]
)
def test_what_a_crash_left_is_told_and_cut_off(tmp_path, torn):
    """Never silently: a line says how much it was, its hash, and how it began."""
    with open_journal(tmp_path) as journal:
        end = journal.append("one")
    with month_file(tmp_path).open("ab") as file:
        file.write(torn)
    with open_journal(tmp_path) as journal:
        told = decode(journal.lines(2, 2)[0])
        journal.append("two")

    assert ["one", "recovered", "two"] == events(tmp_path)
    assert ("recovered", len(torn)) == (told["event"], told["octets"])
    assert line_hash(torn).hex() == told["sha256"]
    assert end.head.hex() == told["prev"]
    assert verify(tmp_path).sound
    assert not (tmp_path / "torn").exists()


def test_a_recovery_that_is_interrupted_is_told_later(tmp_path):
    """The torn octets are kept aside until a line tells of them."""
    with open_journal(tmp_path) as journal:
        journal.append("one")
    with month_file(tmp_path).open("ab") as file:
        file.write(b'{"torn')
    size = month_file(tmp_path).stat().st_size
    with room_for(size + 10), pytest.raises(JournalFault):
        Journal(tmp_path, Clock())
    with open_journal(tmp_path):
        pass

    assert ["one", "recovered"] == events(tmp_path)


@pytest.mark.parametrize("torn", [b"", b'{"event":"st'])
def test_a_crash_at_the_first_line_of_a_month_is_recovered(tmp_path, torn):
    """The last good line is in the file before."""
    with open_journal(tmp_path) as journal:
        journal.append("one")
    month_file(tmp_path, "2026-02").write_bytes(torn)
    with open_journal(tmp_path, Clock(NEXT_MONTH)) as journal:
        journal.append("two")

    assert (["recovered"] if torn else []) + ["two"] == events(tmp_path, "2026-02")
    assert verify(tmp_path).sound


def test_an_altered_end_is_no_crash(tmp_path):
    """Good lines behind a bad one are not cut off: the start is refused."""
    with open_journal(tmp_path) as journal:
        for number in range(5):
            journal.append("sign", number=number)
    lines = octet_lines(tmp_path)
    lines[2] = lines[2].replace(b'"number":2', b'"number":7')
    month_file(tmp_path).write_bytes(b"".join(lines))

    with pytest.raises(JournalFault, match="altered"):
        Journal(tmp_path, Clock())
    assert 5 == len(octet_lines(tmp_path))


def test_an_old_file_that_ends_within_a_line_stops_the_start(tmp_path):
    """A crash leaves only the newest file torn."""
    clock = Clock()
    with open_journal(tmp_path, clock) as journal:
        journal.append("one")
        clock.now = NEXT_MONTH
        journal.append("two")
    with month_file(tmp_path).open("ab") as file:
        file.write(b"torn")
    month_file(tmp_path, "2026-02").write_bytes(b"")

    with pytest.raises(JournalFault, match="not the newest"):
        Journal(tmp_path, clock)
