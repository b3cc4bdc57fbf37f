"""How many items a page has is a number within bounds, however it is written."""

import pytest


@pytest.mark.parametrize(
    "limit",
    [
        "0001" + "0" * 4400,
        "0" * 5000 + "1",
        "00010000000",
        "0001",
        "101",
        "0",
        "-1",
        "1.0",
        "",
        "1_0",
    ],
)
def test_a_limit_beyond_its_bounds_is_malformed(door, caplog, limit):
    """400, and no fault of ours: neither a page of everything nor a number that is too long."""
    answer = door.send("GET", f"/authorities?limit={limit}")

    assert (400, "limit is a number from 1 to 100") == (answer.status_code, answer.json["detail"])
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("limit", ["1", "001", "100"])
def test_a_limit_within_its_bounds_is_taken(door, limit):
    """There is one authority at least."""
    answer = door.send("GET", f"/authorities?limit={limit}")

    assert 200 == answer.status_code
    assert 1 <= len(answer.json["items"]) <= int(limit)
