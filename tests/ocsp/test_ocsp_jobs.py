"""The jobs: answers in use stay fresh, others go, and warm authorities have all of theirs."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.errors import KeyUnavailable
from pikaserver.api.services import ServiceUse
from pikaserver_ocsp import storage
from pikaserver_ocsp.kept import AnswerKey
from pikaserver_ocsp.settings import Terms
from pikaserver_ocsp.warming import PAGE

HOUR = timedelta(hours=1)
HOLD = RevocationReason.CERTIFICATE_HOLD
AWAY = KeyUnavailable("the token is away")


def rows(house):
    """Return all that is stored."""
    with house.server.database.reading() as connection:
        return storage.due(connection, house.server.clock() + timedelta(days=999), 5000)


def test_the_job_renews_what_somebody_asked_for(house, record):
    """Before its end, so that it outlives an absence of the key."""
    house.ask(house.cert_id(record))
    house.ocsp.store.flush()
    for _ in range(10):
        house.server.clock.advance(6 * HOUR)
        house.ocsp.refresh()
    house.server.services.failure = AWAY

    assert house.server.clock() == house.ask(house.cert_id(record)).produced_at


def test_the_job_lets_go_of_what_nobody_asks_for(house, record):
    """After so many days as the setting says."""
    house.ask(house.cert_id(record))
    house.ocsp.store.flush()
    for _ in range(30):
        house.server.clock.advance(6 * HOUR)
        house.ocsp.refresh()

    assert [] == rows(house)
    assert 13 == house.signatures()


def test_asking_keeps_an_answer_in_use(house, record):
    """Noted once for each answer, by whoever gives it."""
    for _ in range(30):
        house.ask(house.cert_id(record))
        house.ocsp.keeper.work()
        house.server.clock.advance(6 * HOUR)
        house.ocsp.refresh()

    assert 1 == len(rows(house))


def test_a_responder_that_cannot_sign_does_not_stop_the_others(make_house):
    """Its answers are tried again a little later."""
    house = make_house()
    leaf, root = house.issue("leaf"), house.issue("ca", "root")
    for record in (leaf, root):
        house.ask(house.cert_id(record))
    house.ocsp.store.flush()

    def fail(_key, _tbs):
        raise AWAY

    signing = house.server.services.get(ServiceUse("ocsp", "OCSP", "issuing", 1))
    house.sign_by(fail)
    house.server.clock.advance(7 * HOUR)
    house.ocsp.refresh()

    made = {row.key.serial: row.this_update for row in rows(house)}
    assert house.server.clock() == made[root.serial]
    assert house.server.clock() - 7 * HOUR == made[leaf.serial]
    house.server.services.keys[ServiceUse("ocsp", "OCSP", "issuing", 1)] = signing
    house.server.clock.advance(timedelta(minutes=1))
    house.ocsp.refresh()
    assert {house.server.clock(), house.server.clock() - timedelta(minutes=1)} == {
        row.this_update for row in rows(house)
    }


def test_the_job_forgets_units_that_are_no_more(make_house):
    """No certificate is made for a responder that the settings do not name."""
    house = make_house()
    record = house.issue()
    issuer = house.ocsp.responder.issuers.find(house.cert_id(record).issuer)
    key = AnswerKey(issuer.generation.id, record.serial, issuer.form, "former")
    house.ocsp.store.renewed([house.ocsp.responder.presigned.renew(key)])
    made = dict(house.server.services.keys)

    for _ in range(3):
        house.server.clock.advance(7 * HOUR)
        house.ocsp.refresh()

    assert [] == rows(house)
    assert made == house.server.services.keys


@pytest.fixture
def warm(make_house):
    """Give a server that keeps answers for all certificates of one authority ready."""
    return make_house(authorities={"issuing": Terms(warm=True)})


def serials(house):
    """Return the serial numbers about which something is stored."""
    return {row.key.serial for row in rows(house)}


def many(house, count):
    """Store so many certificates that differ by their numbers only."""
    record = house.issue()
    for number in range(1, count):
        changed = replace(record, id=record.id + number, serial=record.serial + number)
        house.server.certificates.add(changed)
    return {record.serial + number for number in range(count)}


def test_a_warm_authority_has_an_answer_for_each_certificate(warm):
    """Before anybody asks; others have not."""
    good, revoked, root = warm.issue("a"), warm.issue("b"), warm.issue("ca", "root")
    warm.revoke(revoked)

    warm.ocsp.refresh()

    assert {good.serial, revoked.serial} <= serials(warm)
    assert root.serial not in serials(warm)
    warm.server.services.failure = AWAY
    assert ["good", "revoked"] == [warm.status(one) for one in (good, revoked)]


def test_what_is_not_alive_gets_no_answer_beforehand(warm):
    """Expired certificates, and those that wait for their signature."""
    expired, pending = warm.issue("a"), warm.issue("b")
    warm.server.certificates.add(replace(pending, certificate=None))
    warm.server.clock.advance(timedelta(days=91))

    warm.ocsp.refresh()

    assert set() == serials(warm) & {expired.serial, pending.serial}


def test_many_certificates_are_answered_piece_by_piece(warm):
    """However many there are, each of them once."""
    expected = many(warm, 2 * PAGE + 10)

    for _ in range(3):
        warm.ocsp.refresh()

    assert expected <= serials(warm)
    assert len(expected) + 1 == warm.signatures()  # and one about the responder


def test_new_certificates_are_found_without_going_through_all(warm):
    """A scan ends where everything is there; once in half of an answer's time it goes on."""
    many(warm, 2 * PAGE)
    warm.ocsp.refresh()
    warm.ocsp.refresh()
    missing = min(serials(warm), key=lambda serial: _id(warm, serial))
    gone = [row.key for row in rows(warm) if row.key.serial == missing]
    with warm.server.database.transaction() as connection:
        storage.remove(connection, gone)

    fresh = warm.issue("new")
    warm.ocsp.refresh()
    assert fresh.serial in serials(warm)
    assert missing not in serials(warm)

    warm.server.clock.advance(6 * HOUR)
    for _ in range(3):
        warm.ocsp.refresh()
    assert missing in serials(warm)


def _id(house, serial):
    records = house.server.certificates.records.values()
    return next(one.id for one in records if one.serial == serial)


def test_warm_answers_stay_fresh_though_nobody_asks(warm):
    """Until the certificate's end."""
    record = warm.issue()
    for _ in range(40):
        warm.ocsp.refresh()
        warm.server.clock.advance(6 * HOUR)
    warm.server.services.failure = AWAY
    assert "good" == warm.status(record)

    warm.server.services.failure = None
    warm.server.clock.advance(timedelta(days=91))
    for _ in range(3):
        warm.ocsp.refresh()
        warm.server.clock.advance(12 * HOUR)
    assert record.serial not in serials(warm)


def test_a_key_that_is_away_is_not_asked_every_time(warm, caplog):
    """Once a minute, and nothing is lost."""
    record = warm.issue()
    warm.server.services.failure = AWAY
    for _ in range(3):
        warm.ocsp.refresh()
    assert 1 == len([one for one in caplog.records if one.message == "answers not made"])

    warm.server.services.failure = None
    warm.server.clock.advance(timedelta(minutes=1))
    warm.ocsp.refresh()

    assert record.serial in serials(warm)


def test_one_run_of_the_job_ends_soon(warm, monkeypatch):
    """A server that stops waits for it."""
    monkeypatch.setattr("pikaserver_ocsp.assembly.MOST", PAGE)
    many(warm, 3 * PAGE)

    warm.ocsp.refresh()

    assert PAGE == warm.signatures()
