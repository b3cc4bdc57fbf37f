"""Verifying a journal: every change is found, where it is, in words."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.line import LONGEST_LINE
from hsm_agent.journal.verify import MOST_FAULTS, verify
from hsm_agent.wire.messages import Mark
from tests.hsm_agent.journals import NEXT_MONTH, Clock, month_file, octet_lines, open_journal

LINES = 9


@pytest.fixture
def written(tmp_path):
    """Ten lines in two files."""
    clock = Clock()
    with open_journal(tmp_path, clock) as journal:
        for number in range(LINES):
            journal.append("sign", serial=f"{number:02x}")
        clock.now = NEXT_MONTH
        journal.append("february")
    return tmp_path


def rewrite(folder, change):
    lines = octet_lines(folder)
    month_file(folder).write_bytes(b"".join(change(lines)))


def found(folder, **options):
    report = verify(folder, **options)
    return [(one.file, one.place) for one in report.faults], report.text()


def test_a_sound_journal_is_reported_in_words(written):
    """Counts by event, the span of time, and the mark to compare with the server's."""
    report = verify(written)
    text = report.text()

    assert report.sound
    assert (2, 10, 10) == (report.files, report.lines, report.mark.index)
    assert "10 lines in 2 files, 2026-01-02 12:00:00 UTC - 2026-02-02 12:00:00 UTC" in text
    assert "       9 sign\n" in text
    assert report.mark.head.hex() in text
    assert text.endswith("the journal is sound\n")


def test_an_empty_folder_is_sound(tmp_path):
    """A new agent has done nothing."""
    report = verify(tmp_path)

    assert (True, 0, Mark(0, bytes(32))) == (report.sound, report.lines, report.mark)
    assert "never" in report.text()


def test_a_folder_that_is_not_there_is_told(tmp_path):
    """Nobody mistakes a wrong path for an empty journal."""
    with pytest.raises(JournalFault, match="nowhere"):
        verify(tmp_path / "nowhere")


def test_a_changed_line_is_found(written):
    """One digit of a serial: the line after it does not fit any more."""
    rewrite(written, lambda lines: [*lines[:4], lines[4].replace(b'"04"', b'"84"'), *lines[5:]])

    faults, text = found(written)

    assert [("2026-01.jsonl", 6)] == faults
    assert "line 6 does not continue line 5: that was altered" in text
    assert text.endswith("the journal was ALTERED or damaged\n")


def test_a_line_in_another_form_is_found(written):
    """A change that means the same, a space, is one too; it is one fault, not two."""
    rewrite(written, lambda lines: [*lines[:4], lines[4].replace(b":", b": ", 1), *lines[5:]])

    faults, _ = found(written)

    assert [("2026-01.jsonl", 5), ("2026-01.jsonl", 6)] == faults


def test_removed_lines_are_counted(written):
    """Where they were, and how many."""
    rewrite(written, lambda lines: [*lines[:3], *lines[6:]])

    faults, text = found(written)

    assert [("2026-01.jsonl", 4)] == faults
    assert "line 7 where 4 was to come: 3 are missing" in text


def test_swapped_lines_are_found(written):
    """Both are where they do not belong."""
    rewrite(written, lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]])

    faults, text = found(written)

    assert ("2026-01.jsonl", 4) in faults
    assert "out of its place" in text


def test_a_repeated_line_is_found(written):
    """A line cannot stand twice."""
    rewrite(written, lambda lines: [*lines[:3], lines[2], *lines[3:]])

    assert [("2026-01.jsonl", 4)] == found(written)[0]


def test_a_lost_file_is_found(written):
    """The next one begins with a number that was not to come."""
    month_file(written).unlink()

    faults, text = found(written)

    assert [("2026-02.jsonl", 1)] == faults
    assert "9 are missing" in text


def test_lines_missing_at_the_end_are_found_by_a_mark_that_others_keep(written):
    """A journal cannot know its own end; the server keeps marks."""
    end = verify(written).mark
    month_file(written, "2026-02").unlink()

    assert verify(written).sound
    faults, text = found(written, known=(end,))
    assert 1 == len(faults)
    assert "line 10 is known elsewhere; here the journal ends at 9" in text


def test_a_journal_written_anew_is_found_by_a_mark(written, tmp_path_factory):
    """A whole forged chain is sound in itself."""
    known = verify(written).mark
    other = tmp_path_factory.mktemp("other")
    with open_journal(other) as journal:
        for number in range(LINES + 1):
            journal.append("sign", serial=f"{number + 1:02x}")

    report = verify(other, known=(known, Mark(0, bytes(32))))

    assert ["line 10 is another one than was told before"] == [f.what for f in report.faults]


def test_a_file_cut_within_a_line_is_found(written):
    """The newest file may have an unfinished line; an older one may not."""
    for month, octets in (("2026-02", 5), ("2026-01", 5)):
        path = month_file(written, month)
        path.write_bytes(path.read_bytes()[:-octets])

        report = verify(written)

        assert (month == "2026-02") == report.sound
        assert report.unfinished > 0
    assert "no end of line" in report.text()


def test_a_line_without_end_is_not_read_whole(written):
    """A gigabyte without newline costs no gigabyte."""
    with month_file(written).open("ab") as file:
        file.write(b"x" * (5 * LONGEST_LINE))

    faults, _ = found(written)

    assert ("2026-01.jsonl", LINES + 1) in faults
    assert len(faults) <= 2


def test_faults_are_told_up_to_a_number_and_counted_beyond(tmp_path):
    """A file of rubbish gives a report that a person can still read."""
    month_file(tmp_path).write_bytes(b"rubbish\n" * 300)

    report = verify(tmp_path)

    assert (MOST_FAULTS, 300 - MOST_FAULTS) == (len(report.faults), report.untold)
    assert "WRONG 200 times more" in report.text()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_whatever_octet_changes_is_found(written, data):
    """Any one octet of any line but the last: changed, gone or added."""
    path = month_file(written)
    before = path.read_bytes()
    place = data.draw(st.integers(0, len(before) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda one: one != before[place]))
    other = data.draw(
        st.sampled_from(
            [
                before[:place] + bytes([octet]) + before[place + 1 :],
                before[:place] + before[place + 1 :],
                before[:place] + bytes([octet]) + before[place:],
            ]
        )
    )
    try:
        path.write_bytes(other)

        assert other == before or not verify(written).sound
    finally:
        path.write_bytes(before)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_no_file_makes_the_report_fail(tmp_path, octets):
    """Whatever stands there, there is a report."""
    month_file(tmp_path).write_bytes(octets)

    assert verify(tmp_path).text()
