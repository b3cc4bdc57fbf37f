"""What is remembered of wrong PINs."""

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_agent.stores.piv.pin_memory import PinMemory
from hsm_agent.stores.store import TokenFault


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state" / "wrong-pins.json"


@pytest.fixture
def memory(file):
    return PinMemory(file, os.urandom)


def test_a_wrong_pin_stays_wrong_for_the_next_process(memory, file):
    """Of this card alone, and no other PIN."""
    memory.wrong(1, "111222")

    after = PinMemory(file, os.urandom)

    assert after.was_wrong(1, "111222", 2)
    assert not after.was_wrong(2, "111222", 2)
    assert not after.was_wrong(1, "111223", 2)


def test_no_pin_can_be_read_in_the_file_and_nobody_else_reads_it(memory, file):
    """A wrong PIN is often nearly the right one."""
    memory.wrong(1, "letter")

    assert b"letter" not in file.read_bytes()
    assert 0o600 == file.stat().st_mode & 0o777


def test_a_right_pin_leaves_nothing_behind(memory, file):
    """Not even a hash: a PIN is short enough to be guessed from one."""
    memory.begin(1, "462813", 3)
    assert 1 == len(json.loads(file.read_bytes()))

    memory.right(1, "462813")

    assert [] == json.loads(file.read_bytes())


@pytest.mark.parametrize(("left", "wrong"), [(3, False), (2, True)])
def test_a_try_that_ended_with_a_crash_is_judged_by_the_counter(memory, file, left, wrong):
    """If it cost a try it was wrong; a right one fills the counter up."""
    memory.begin(1, "462813", 3)

    assert wrong is PinMemory(file, os.urandom).was_wrong(1, "462813", left)


def test_a_person_who_corrects_the_card_makes_the_pin_right_again(memory):
    """Forgetting is explicit."""
    memory.wrong(1, "111222")
    memory.wrong(1, "333444")

    memory.right(1, "111222")

    assert not memory.was_wrong(1, "111222", 3)
    assert memory.was_wrong(1, "333444", 3)


@pytest.mark.parametrize("octets", [b"", b"{", b"[1]", b'[{"serial": 1}]', b"[{}]", b"\xff"])
def test_a_file_that_cannot_be_read_stops_every_try(memory, file, octets):
    """Whoever forgot what was wrong would try it again."""
    memory.wrong(1, "111222")
    file.write_bytes(octets)

    with pytest.raises(TokenFault, match="no PIN is tried without it"):
        memory.was_wrong(1, "111222", 3)


def test_a_file_that_others_read_stops_every_try(memory, file):
    """It is a secret like the PIN."""
    memory.wrong(1, "111222")
    file.chmod(0o644)

    with pytest.raises(TokenFault, match="chmod 600"):
        memory.was_wrong(1, "111222", 3)


def test_what_cannot_be_written_down_is_not_tried(tmp_path):
    """The intent is on disk before the card sees the PIN."""
    (tmp_path / "state").write_text("a file is in the way", encoding="ascii")
    memory = PinMemory(tmp_path / "state" / "wrong-pins.json", os.urandom)

    with pytest.raises(TokenFault, match="cannot be written"):
        memory.begin(1, "462813", 3)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(octets=st.binary(max_size=80))
def test_no_content_of_the_file_raises_anything_else(memory, file, octets):
    """Disks and editors do strange things."""
    file.parent.mkdir(exist_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(octets)

    try:
        found = memory.was_wrong(1, "111222", 3)
    except TokenFault:
        return
    assert (b"[]", False) == (b"".join(octets.split()), found)
