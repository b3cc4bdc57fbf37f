"""Answers without a nonce: signed once, kept over restarts, never given once they are wrong."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import KeyUnavailable, StorageUnavailable
from pikaserver.api.operations import CertificateRevoked, HealthState
from pikaserver.api.services import ServiceUse
from pikaserver.asn1.ocsp import ResponseStatus
from pikaserver.asn1.ocsp_requests import write_request
from pikaserver_ocsp import storage
from pikaserver_ocsp.assembly import assemble
from pikaserver_ocsp.plugin import of, shutdown, startup

HOUR = timedelta(hours=1)
HOLD = RevocationReason.CERTIFICATE_HOLD
AWAY = KeyUnavailable("the token is away")


def rows(house):
    """Return all that is stored."""
    with house.server.database.reading() as connection:
        return storage.due(connection, house.server.clock() + timedelta(days=999), 5000)


def test_an_answer_is_signed_once_until_half_of_its_time(house, record):
    """Then the next one is made."""
    first = house.ask(house.cert_id(record))
    house.server.clock.advance(6 * HOUR - timedelta(seconds=2))
    assert first == house.ask(house.cert_id(record))

    house.server.clock.advance(timedelta(seconds=2))

    second = house.ask(house.cert_id(record))
    assert house.server.clock() == second.produced_at
    assert 2 == house.signatures()


def test_answers_outlive_a_restart(house, record):
    """And other nodes find what one of them signed."""
    first = house.ask(house.cert_id(record))

    house.start_anew()

    assert first == house.ask(house.cert_id(record))
    assert 0 == house.signatures()


@pytest.mark.parametrize("nonce", [None, b"n" * 16])
def test_kept_answers_go_on_while_the_key_is_away(house, record, nonce):
    """Until their end; a client that sent a nonce decides whether one without it will do."""
    house.ask(house.cert_id(record))
    house.start_anew()
    house.server.services.failure = AWAY
    house.server.clock.advance(12 * HOUR - timedelta(seconds=1))

    basic = house.ask(house.cert_id(record), nonce=nonce)

    assert ("good", None) == (basic.answers[0].status, basic.nonce)
    house.server.clock.advance(timedelta(seconds=1))
    octets = write_request([house.cert_id(record)], nonce)
    assert ResponseStatus.TRY_LATER is house.error(octets)


def test_a_revocation_ends_a_kept_answer_though_the_key_is_away(house, record):
    """Rather none than a wrong one."""
    house.ask(house.cert_id(record))
    house.server.services.failure = AWAY

    house.revoke(record)

    octets = write_request([house.cert_id(record)])
    assert ResponseStatus.TRY_LATER is house.error(octets)
    assert HealthState.DEGRADED is house.ocsp.counts.health().state


def test_every_change_of_status_shows_on_the_next_request(house, record):
    """On this node and on those that did not hear of it."""
    said = [house.status(record)]
    held = house.revoke(record, HOLD)
    said.append(house.status(record))
    house.start_anew()
    said.append(house.status(record))
    house.server.release(held, "test")
    house.start_anew()
    said.append(house.status(record))
    house.revoke(record)
    said.append(house.status(record))

    assert ["good", "revoked", "revoked", "good", "revoked"] == said


def test_a_reason_or_invalidity_that_changed_shows_too(house, record):
    """From hold to for good: another reason, another time, another answer."""
    held = house.revoke(record, HOLD)
    assert HOLD is house.one(house.cert_id(record)).revocation.reason
    since = house.server.clock() - HOUR

    revocation = Revocation(house.server.clock(), RevocationReason.SUPERSEDED, since)
    house.server.revoke(held, revocation, "test")

    assert revocation == house.one(house.cert_id(record)).revocation


def test_a_revoked_responders_answers_end_at_once(house, record):
    """RFC 6960 section 4.2.2.2: nobody may believe it any more."""
    first = house.ask(house.cert_id(record))
    responder = house.server.certificates.by_certificate(first.certificates[0])
    house.start_anew()

    house.revoke(responder)

    second = house.ask(house.cert_id(record))
    assert first.certificates != second.certificates
    assert "good" == second.answers[0].status


def test_a_renewed_responder_leaves_kept_answers_alone(house, record):
    """The former certificate is good until its end."""
    first = house.ask(house.cert_id(record))
    del house.server.services.keys[ServiceUse("ocsp", "OCSP", "issuing", 1)]

    assert first == house.ask(house.cert_id(record))
    assert first.certificates != house.ask(house.cert_id(record), nonce=b"n").certificates


def test_a_clock_that_ran_back_gets_answers_of_its_own(house, record):
    """Nobody is given one from the future."""
    house.ask(house.cert_id(record))

    house.server.clock.advance(-HOUR)

    assert house.server.clock() == house.ask(house.cert_id(record)).produced_at


def test_the_status_goes_on_while_the_database_is_away(house, record):
    """P8: what is signed already is given to whoever asks, until it ends."""
    first = house.ask(house.cert_id(record))

    house.server.certificates.failure = StorageUnavailable("the database is away")

    assert first == house.ask(house.cert_id(record))
    other = write_request([house.cert_id(record, 2)])
    assert ResponseStatus.TRY_LATER is house.error(other)
    house.server.clock.advance(12 * HOUR)
    octets = write_request([house.cert_id(record)])
    assert ResponseStatus.TRY_LATER is house.error(octets)


def test_memory_is_bounded(make_house):
    """What falls out of it is in the database."""
    house = make_house(answers_in_memory=100)
    records = [house.issue(f"plc-{number}") for number in range(101)]
    for record in records:
        house.ask(house.cert_id(record))
    house.ocsp.store.flush()

    assert 100 == len(house.ocsp.store)
    assert 101 == len(rows(house))
    house.ask(house.cert_id(records[0]))
    assert 101 == house.signatures()


def test_what_was_never_issued_is_not_kept(house):
    """Anybody could fill the table with it."""
    house.ask(house.stranger())
    house.ocsp.store.flush()

    assert [] == rows(house)


def test_another_nodes_newer_answer_is_taken(house, record):
    """A slow key signs once for all nodes."""
    house.ask(house.cert_id(record))
    house.ocsp.store.flush()
    other = assemble(house.server)
    house.server.clock.advance(7 * HOUR)
    octets = write_request([house.cert_id(record)])
    newer = other.responder.answer(octets)
    other.store.flush()

    assert newer.octets == house.ocsp.responder.answer(octets).octets
    assert 1 == house.signatures()


def test_an_older_answer_does_not_replace_a_newer_one(house, record):
    """Nodes write when they come to it, not in the order of their signatures."""
    house.ask(house.cert_id(record))
    other = assemble(house.server)
    house.server.clock.advance(7 * HOUR)
    newer = other.responder.answer(write_request([house.cert_id(record)])).kept
    other.store.flush()

    house.ocsp.store.flush()

    assert [newer.this_update] == [row.this_update for row in rows(house)]


def test_what_could_not_be_stored_waits(house, record):
    """The answer was given all the same."""
    house.ask(house.cert_id(record))
    house.server.database.failure = StorageUnavailable("the disk is full")
    house.ocsp.keeper.work()
    house.server.database.failure = None
    assert [] == rows(house)

    house.ocsp.keeper.work()

    assert 1 == len(rows(house))


@pytest.fixture
def started(house):
    """Give a server whose keeper works."""
    startup(house.server)
    yield house
    shutdown(house.server)


def test_what_is_due_is_given_and_renewed_beside_the_requests(started, record):
    """Nobody waits for a slow key while the former answer holds."""
    first = started.ask(started.cert_id(record))
    started.server.clock.advance(7 * HOUR)

    assert first == started.ask(started.cert_id(record))

    shutdown(started.server)  # does what waits, and ends
    assert started.server.clock() == started.ask(started.cert_id(record)).produced_at


def test_a_revocation_is_signed_at_once(started, record):
    """Also for those who ask when the key is away again."""
    for form in (0, 2):
        started.ask(started.cert_id(record, form))
    started.ocsp.store.flush()
    revoked = started.revoke(record)

    of(started.server).keeper.notice(CertificateRevoked(revoked))
    shutdown(started.server)

    started.server.services.failure = AWAY
    for form in (0, 2):
        assert "revoked" == started.one(started.cert_id(record, form)).status


def test_a_revocation_by_a_command_is_signed_by_the_server(house, record):
    """The command's process has no thread for it: it makes the answers due, and the job goes on."""
    for form in (0, 2):
        house.ask(house.cert_id(record, form))
    house.ask(house.cert_id(other := house.issue("plc-22")))
    house.ocsp.store.flush()
    revoked = house.revoke(record)

    assemble(house.server).keeper.notice(CertificateRevoked(revoked))
    house.start_anew()
    house.ocsp.refresh()

    assert 2 == house.signatures()
    house.server.services.failure = AWAY
    for form in (0, 2):
        assert "revoked" == house.one(house.cert_id(record, form)).status
    assert "good" == house.status(other)


def test_revocations_of_what_nobody_asked_for_cost_nothing(started, record):
    """And those of authorities that are gone."""
    revoked = started.revoke(record)
    for changed in (revoked, replace(revoked, authority="gone"), replace(revoked, generation=9)):
        started.ocsp.keeper.notice(CertificateRevoked(changed))
    shutdown(started.server)

    assert [] == rows(started)
    assert 0 == started.signatures()
