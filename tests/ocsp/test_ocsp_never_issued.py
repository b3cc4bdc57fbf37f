"""Serial numbers that were never given out: answers by setting, and an alarm."""

from datetime import UTC, datetime, timedelta

import pytest

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.operations import Alarm
from pikaserver.asn1 import der
from pikaserver.asn1.ocsp import (
    EXTENDED_REVOKE,
    ResponseStatus,
)
from pikaserver.asn1.ocsp_requests import write_request
from pikaserver_ocsp.settings import Terms
from pikaserver_ocsp.tripwire import NAME, QUIET

HOLD = RevocationReason.CERTIFICATE_HOLD
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_serials_that_were_never_given_out_are_unknown(house):
    """Section 2.2, and for a short time only: it may be issued any moment."""
    single = house.one(house.stranger())

    assert "unknown" == single.status
    assert timedelta(minutes=5) == single.next_update - single.this_update
    assert EXTENDED_REVOKE not in single.extensions


def test_serials_that_were_never_given_out_may_be_revoked(make_house):
    """Sections 2.2 and 4.4.8: 1970, certificateHold, and the extension of the whole."""
    house = make_house(authorities={"issuing": Terms(never_issued="revoked")})

    basic = house.ask(house.stranger())

    assert Revocation(EPOCH, HOLD) == basic.answers[0].revocation
    assert der.null() == basic.extensions[EXTENDED_REVOKE].value
    assert {} == basic.answers[0].extensions
    assert "unknown" == house.one(house.stranger("root")).status


def test_serials_that_were_never_given_out_may_stay_unanswered(make_house):
    """RFC 5019 section 2.2.3: no key signs for those who guess."""
    house = make_house(never_issued="unauthorized")
    record = house.issue()

    octets = write_request([house.stranger()])
    assert ResponseStatus.UNAUTHORIZED is house.error(octets)
    basic = house.ask(house.stranger(), house.cert_id(record))
    assert ["unknown", "good"] == [one.status for one in basic.answers]


@pytest.mark.parametrize("serial", [0, -5, 2**160, 2**4000])
def test_impossible_serials_are_never_given_out(house, serial):
    """The database is not asked for them."""
    assert "unknown" == house.one(house.stranger(serial=serial)).status


def test_a_certificate_that_was_never_made_raises_an_alarm(house):
    """Somebody shows it: told at once with all that is known, and then not a thousand times."""
    for serial in range(0xA0, 0xA3):
        house.ask(house.stranger(serial=serial))
    house.server.clock.advance(QUIET)
    house.ask(house.stranger(serial=0xA3))

    first, second = house.server.events
    assert isinstance(first, Alarm)
    assert NAME == first.name
    assert {
        "authority": "issuing",
        "serial": "A0",
        "untold": "0",
        "client": "192.0.2.9",
    } == first.fields
    assert ("A3", "2") == (second.fields["serial"], second.fields["untold"])
    (sample,) = house.ocsp.counts.strangers()
    assert (4, (("authority", "issuing"),)) == (sample.value, sample.labels)


def test_alarms_go_on_when_the_clock_is_put_back(house):
    """A clock is no way to silence them."""
    house.ask(house.stranger())
    house.server.clock.advance(-timedelta(days=1))
    house.ask(house.stranger())

    assert 2 == len(house.server.events)
