"""Reading lines by number, while the journal grows."""

import threading
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.line import decode, line_hash
from hsm_agent.journal.reading import export, lines, read_tail, stream
from tests.hsm_agent.journals import NEXT_MONTH, Clock, month_file, octet_lines, open_journal

COUNT = 3000


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Lines of different lengths, enough to be searched, in two files."""
    folder = tmp_path_factory.mktemp("long")
    clock = Clock()
    with open_journal(folder, clock) as journal:
        for number in range(1, COUNT + 1):
            if number == COUNT // 2:
                clock.now = NEXT_MONTH
            journal.note("sign", names="x" * (number * 37 % 500))
        journal.append("end")
    return folder


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(1, COUNT + 1), st.integers(0, 30))
def test_any_line_is_found_by_its_number(long, first, more):
    """Wherever it stands, without reading everything before."""
    found = [decode(line)["i"] for line in lines(long, first, first + more)]

    assert list(range(first, min(first + more, COUNT + 1) + 1)) == found


def test_what_is_not_there_is_not_returned(long):
    """Beyond the end, before the beginning, the wrong way round."""
    assert [] == lines(long, COUNT + 2, COUNT + 9)
    assert [] == lines(long, 0, 5)
    assert [] == lines(long, 5, 4)


def test_lines_are_as_many_as_fit_and_one_at_least(long):
    """An answer fits a frame, and always goes on."""
    assert 1 == len(lines(long, 1, COUNT, most_octets=1))
    assert COUNT > len(lines(long, 1, COUNT, most_octets=10_000)) > 10


def test_a_stream_goes_over_the_end_of_a_month(long):
    """Each line continues the one before, whatever file it is in."""
    marks = [read.mark for read in stream(long, COUNT // 2 - 2)]

    assert COUNT + 1 == marks[-1].index
    assert marks[-1].head == line_hash(octet_lines(long, "2026-02")[-1][:-1])


def test_damage_is_told_with_its_place(tmp_path):
    """A reader stops there; it does not skip."""
    with open_journal(tmp_path) as journal:
        for number in range(5):
            journal.append("sign", serial=f"{number} of five")
    whole = month_file(tmp_path).read_bytes()
    month_file(tmp_path).write_bytes(whole.replace(b"2 of five", b"2 of nine"))

    with pytest.raises(JournalFault, match="line 4"):
        list(stream(tmp_path))
    assert 2 == len(lines(tmp_path, 1, 2))


def test_an_export_is_the_journal(long, tmp_path):
    """The lines themselves, so that anybody can verify them."""
    with (tmp_path / "export").open("wb") as file:
        mark = export(long, 1, COUNT + 1, file.write)
    expected = b"".join(octet_lines(long) + octet_lines(long, "2026-02"))

    assert expected == (tmp_path / "export").read_bytes()
    assert COUNT + 1 == mark.index


def test_reading_while_another_writes_never_fails(tmp_path):
    """An unfinished last line is not there yet."""
    stop = threading.Event()
    with open_journal(tmp_path) as journal:
        journal.append("first")

        def write():
            # So many at most: readers go through the whole of a file that grows meanwhile.
            for _ in range(2000):
                if stop.is_set():
                    return
                journal.note("sign", names="x" * 300)

        thread = threading.Thread(target=write)
        thread.start()
        for _ in range(50):
            end = journal.mark().index
            assert end == decode(journal.lines(end, end)[0])["i"]
            assert list(stream(tmp_path, end))
        stop.set()
        thread.join()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=500))
def test_no_file_makes_a_reader_raise_anything_else(tmp_path, octets):
    """Damaged beyond words is still a `JournalFault`."""
    month_file(tmp_path).write_bytes(octets)
    for read in (read_tail, lambda folder: list(stream(folder)), lambda f: lines(f, 1, 9)):
        with suppress(JournalFault):
            read(tmp_path)
