"""What a target lacks is pushed once, in order, and tried again until it is there."""

from datetime import timedelta
from itertools import pairwise

import pytest

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.crls import DELTA_CRL, FULL_CRL
from pikaserver.api.errors import StorageUnavailable, Unavailable
from pikaserver.api.operations import Alarm
from pikaserver.api.publishing import Target
from pikaserver.publishing.queue import ELSEWHERE
from pikaserver.storage.publications import STATUSES, WHOLE_TARGET

MINUTE = timedelta(minutes=1)


class Ears:
    """An observer that remembers alarms."""

    def __init__(self):
        self.alarms = []

    def notice(self, event):
        """See ``pikaserver.api.operations.Observer``."""
        if isinstance(event, Alarm):
            self.alarms.append(event)


def refusing(error, *, only=None):
    """Return what raises an error, for one authority or for all."""

    def refuse(crl):
        if only in (None, crl.authority, crl.scope):
            raise error

    return refuse


def test_each_crl_is_pushed_once(house, shelf):
    """A target that has the newest one is left alone, over a restart too."""
    house.run(house.queue(shelf))
    assert [("root", FULL_CRL, 1), ("issuing", FULL_CRL, 1)] == shelf.got

    assert house.run(house.queue(shelf)) is None

    assert 2 == len(shelf.got)


def test_a_newer_crl_takes_the_place_of_those_that_wait(house, shelf):
    """What a target missed while it was away is of no use to anybody."""
    shelf.refuse = refusing(Unavailable("away"))
    house.run(house.queue(shelf))
    house.issue()
    house.clock.advance(MINUTE)
    newest = house.issue()
    shelf.refuse = refusing(None, only="nobody")

    house.run(house.queue(shelf))

    assert [("root", FULL_CRL, 1), ("issuing", FULL_CRL, newest)] == shelf.got
    assert 3 == newest


def test_a_target_that_is_away_is_asked_once_and_then_less_and_less_often(house, shelf):
    """One attempt per round, each wait twice as long, and never longer than the settings say."""
    asked = []
    shelf.refuse = lambda crl: (asked.append(crl), refusing(ConnectionRefusedError())(crl))
    queue = house.queue(shelf)
    waits = []
    for _ in range(12):
        retry_at = house.run(queue)
        waits.append(retry_at - house.clock())
        assert retry_at == house.run(queue)
        house.clock.advance(waits[-1])

    assert 12 == len(asked)
    assert all(early < late * 0.9 for early, late in pairwise(waits[:7]))
    assert timedelta(minutes=3) < waits[-1] <= house.ground.patience.longest_wait
    assert "ConnectionRefusedError: " == queue.ledger.read()[WHOLE_TARGET].error


def test_one_item_that_is_refused_keeps_no_other_from_its_target(house, shelf):
    """A missing entry for one authority is not the other one's trouble."""
    shelf.refuse = refusing(RuntimeError("no such entry"), only="root")

    house.run(house.queue(shelf))

    assert [("issuing", FULL_CRL, 1)] == shelf.got


def test_an_item_at_which_the_target_breaks_down_comes_last_the_next_time(house, shelf):
    """A CRL that is too large for a line must not keep the small ones back for ever."""
    shelf.refuse = refusing(TimeoutError(), only="root")
    queue = house.queue(shelf)
    house.run(queue)
    house.clock.advance(MINUTE)

    house.run(queue)

    assert [("issuing", FULL_CRL, 1)] == shelf.got
    assert 1 == queue.ledger.read()[WHOLE_TARGET].failures


def test_a_delta_waits_for_its_full_crl(house, shelf):
    """A verifier cannot use one without the other (RFC 5280 section 5.2.4)."""
    house.change("issuing", crl_deltas=True)
    house.server.crls.issue("issuing")
    queue = house.queue(shelf)
    shelf.refuse = refusing(RuntimeError("disk full"), only=FULL_CRL)

    house.run(queue)
    assert [] == shelf.got
    house.run(queue)
    assert [] == shelf.got

    shelf.refuse = refusing(None, only="nobody")
    house.clock.advance(MINUTE)
    house.run(queue)
    scopes = [scope for authority, scope, _ in shelf.got if authority == "issuing"]
    assert [FULL_CRL, DELTA_CRL] == scopes


def test_an_alarm_comes_once_after_several_failures(house, shelf):
    """Somebody should look; a line for each failure would be noise."""
    ears = Ears()
    house.server.events.add([ears])
    shelf.refuse = refusing(Unavailable("no route to it"))
    queue = house.queue(shelf)

    for _ in range(9):
        house.clock.advance(timedelta(hours=1))
        house.run(queue)

    (alarm,) = ears.alarms
    assert "publish.failing" == alarm.name
    assert "publishing to 'shelf': 'shelf' could not be reached 5 times: no route to it" == (
        alarm.text
    )


def test_two_nodes_do_not_push_at_the_same_time(house, shelf):
    """The second one looks again when the first is done."""
    other = house.queue(shelf, node=2)
    seen = []
    shelf.refuse = lambda _: seen.append(house.run(other))

    house.run(house.queue(shelf))

    assert 2 == len(shelf.got)
    assert [house.clock() + ELSEWHERE] * 2 == seen


def test_a_node_that_slept_amid_a_delivery_sees_to_it_that_the_newest_is_there(house, shelf):
    """Its lease ended, another node pushed a newer CRL, then the old one came through."""
    first, second = house.queue(shelf), house.queue(shelf, node=2)
    house.run(second)
    house.issue()
    slept = []

    def sleep(crl):
        if not slept:
            slept.append(crl.number)
            house.clock.advance(timedelta(minutes=2))
            house.issue()
            house.run(second)

    shelf.refuse = sleep
    house.run(first)
    assert [("issuing", FULL_CRL, 3), ("issuing", FULL_CRL, 2)] == shelf.got[-2:]

    house.run(first)

    assert ("issuing", FULL_CRL, 3) == shelf.got[-1]
    assert house.run(first) is None


def test_each_node_pushes_to_its_own_disk(house, new_shelf):
    """A folder on one node is not there on another one."""
    one, two = new_shelf(target=Target(every_node=True)), new_shelf(target=Target(every_node=True))

    house.run(house.queue(one, node=1))
    house.run(house.queue(two, node=2))

    assert one.got == two.got
    assert 2 == len(two.got)


def test_another_place_gets_everything_anew(house, new_shelf):
    """Who changes a URL expects the CRL there, not only the next one."""
    house.run(house.queue(new_shelf(target=Target(place="http://old/"))))
    moved = new_shelf(target=Target(place="http://new/"))

    house.run(house.queue(moved))

    assert 2 == len(moved.got)


def test_nothing_is_pushed_that_could_not_be_noted(house, shelf, monkeypatch):
    """Without the database nobody knows who else pushes."""
    queue = house.queue(shelf)
    supply = house.ground.supply()
    house.server.database.close()
    monkeypatch.setattr(house.server.database, "_take_turn", _no_turn)

    with pytest.raises(StorageUnavailable):
        queue.run(supply)

    assert [] == shelf.got


def _no_turn():
    raise StorageUnavailable("the disk is full")


def test_a_clock_set_back_does_not_keep_a_target_waiting(house, shelf):
    """A retry in a year to come is a mistake of the clock."""
    year = timedelta(days=365)
    shelf.refuse = refusing(Unavailable("away"))
    queue = house.queue(shelf)
    house.clock.advance(year)
    house.run(queue)
    house.clock.advance(-year)
    shelf.refuse = refusing(None, only="nobody")

    house.run(queue)

    assert 2 == len(shelf.got)


def test_certificates_go_out_before_crls_and_again_when_they_change(house, new_shelf):
    """The caIssuers file is needed to make use of the CRL."""
    got = []
    target = Target(
        certificate=lambda authority, generation: got.append((authority.name, generation.number)),
        wants_certificate=lambda authority, _: authority.name == "issuing",
        wants=lambda crl: crl.authority == "issuing",
    )
    queue = house.queue(new_shelf(target=target, got=got))
    house.run(queue)
    assert [("issuing", 1), ("issuing", FULL_CRL, 1)] == got

    house.rekey("issuing")
    house.run(queue)

    assert ("issuing", 2) in got


def test_statuses_come_in_order_from_the_first_revocation_on(house, new_shelf):
    """What happened before the target was there is on the CRL."""
    record = house.enroll("plc-21.example.test")
    got = []
    queue = house.queue(new_shelf(target=Target(statuses=got.extend)))
    house.run(queue)
    assert [] == got
    hold = Revocation(house.clock(), RevocationReason.CERTIFICATE_HOLD)

    held = house.server.revoke(record, hold, "test")
    house.run(queue)
    house.server.release(held, "test")
    house.run(queue)
    house.run(queue)

    assert ["on-hold", "valid"] == [one.status for one in got]
    row = queue.ledger.read()
    assert {0, 2} == {one.number for item, one in row.items() if item.kind == STATUSES}
