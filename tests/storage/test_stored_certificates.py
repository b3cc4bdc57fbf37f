"""Certificates: intent and result, one-time changes, search, the entries of a CRL."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from pikaserver.api.certificates import CertificateStatus, RevocationReason
from pikaserver.api.errors import Conflict
from pikaserver.storage import certificates, revocations
from pikaserver.storage.tables import crl

HOLD, FINAL = RevocationReason.CERTIFICATE_HOLD, RevocationReason.KEY_COMPROMISE
DAY = timedelta(days=1)


def entries(house, now=None):
    with house.database.reading() as connection:
        found = revocations.all_entries(
            connection, house.generation, now or house.now, keep_expired=False
        )
        return list(found)


def test_a_certificate_is_an_intent_first(house):
    """The serial is known, and revocable, before any signature exists."""
    made = house.intend(0x0A, names=("dns:WWW.Example", "ip:10.0.0.1"), subject="CN=Ä")

    record = house.get(made)
    with house.database.reading() as connection:
        (intent,) = certificates.open_intents(connection)

    assert (CertificateStatus.PENDING, None, None) == (
        record.status,
        record.certificate,
        record.fingerprint,
    )
    assert ("issuing", 1, 0x0A) == (record.authority, record.generation, record.serial)
    assert ("web", 1, "est") == (record.template, record.template_version, record.door)
    assert (("dns:www.example", "ip:10.0.0.1"), "CN=Ä") == (record.names, record.subject)
    assert (made, 0x0A, b"tbs 10") == (intent.id, intent.serial, intent.tbs)
    assert house.revoke(made)
    assert CertificateStatus.REVOKED is house.get(made).status


def test_a_signed_certificate_replaces_its_intent(house):
    """It is completed once; the to-be-signed octets are not kept twice."""
    made = house.issued(10)

    record = house.get(made)

    assert CertificateStatus.VALID is record.status
    assert b"certificate 10" == record.certificate
    assert 64 == len(record.fingerprint)
    with house.database.reading() as connection:
        assert [] == certificates.open_intents(connection)
    for deed in (
        lambda connection: certificates.complete(connection, made, b"other"),
        lambda connection: certificates.abandon(connection, made),
    ):
        with pytest.raises(Conflict, match="does not wait"), house.database.transaction() as c:
            deed(c)
    assert b"certificate 10" == house.get(made).certificate


def test_an_abandoned_intent_keeps_its_serial(house):
    """It is out of sight, but its serial is found, stays taken and can be revoked."""
    made = house.intend(10)
    with house.database.transaction() as connection:
        certificates.abandon(connection, made)

    assert [] == house.find()
    assert [10] == house.find(serial=10)
    with pytest.raises(Conflict, match="taken"):
        house.intend(10)
    assert house.revoke(made)
    assert [10] == house.find()


def test_a_serial_is_given_once_per_generation(house):
    """Two generations may meet by chance; one generation never repeats itself."""
    with house.database.transaction() as connection:
        other = house.add_authority(connection, "other")
    house.intend(10)

    with pytest.raises(Conflict, match="taken"):
        house.intend(10)

    house.intend(10, generation_id=other)
    assert [10, 10] == house.find(serial=10)
    assert [10] == house.find(serial=10, authority="other")


def test_a_transaction_is_given_once_per_door(house):
    """A repeated transaction finds its first outcome."""
    made = house.intend(1, transaction="t-1")
    house.intend(2, transaction="t-1", door="scep")
    house.intend(3)
    house.intend(4)

    with pytest.raises(Conflict, match="taken"):
        house.intend(5, transaction="t-1")

    with house.database.reading() as connection:
        found = certificates.by_transaction(connection, "est", "t-1", house.now)
        assert made == found.id
        assert certificates.by_transaction(connection, "acme", "t-1", house.now) is None


def test_revoked_stays_revoked(house):
    """A hold may end either way, or become final; what is final never changes."""
    made = house.issued(10)

    assert house.revoke(made, HOLD)
    assert not house.revoke(made, HOLD)
    assert CertificateStatus.ON_HOLD is house.get(made).status
    assert house.release(made)
    assert not house.release(made)
    assert house.get(made).revocation is None
    assert house.revoke(made, HOLD)
    assert house.revoke(made, FINAL, at=house.now + DAY)
    assert not house.revoke(made, RevocationReason.SUPERSEDED)
    assert not house.revoke(made, HOLD)
    assert not house.release(made)
    record = house.get(made)
    assert (FINAL, house.now + DAY) == (record.revocation.reason, record.revocation.at)
    assert not house.revoke(made + 1)


def test_one_of_many_revokes(house):
    """Sixteen at once: the row count decides, and it decides for one."""
    made = house.issued(10)
    won = []
    threads = [threading.Thread(target=lambda: won.append(house.revoke(made))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [False] * 15 + [True] == sorted(won)


def test_the_last_second_is_valid(house):
    """RFC 5280 section 4.1.2.5: notAfter is inclusive, and it has whole seconds."""
    made = house.issued(10)
    end = house.get(made).not_after

    assert CertificateStatus.VALID is house.get(made, end).status
    assert CertificateStatus.VALID is house.get(made, end + timedelta(microseconds=999_999)).status
    assert CertificateStatus.EXPIRED is house.get(made, end + timedelta(seconds=1)).status


def test_the_entries_of_a_crl_are_those_of_its_generation(house):
    """Holds are in it, releases are not, nor what belongs to another generation."""
    with house.database.transaction() as connection:
        other = house.add_authority(connection, "other")
    for serial in (0x33, 0x11, 0x22, 0x44):
        house.revoke(house.issued(serial), entry=b"%x" % serial)
    house.revoke(house.issued(0x55, generation_id=other))
    house.issued(0x66)
    held, released = house.issued(0x77), house.issued(0x88)
    assert house.revoke(held, HOLD, entry=b"77")
    assert house.revoke(released, HOLD)
    assert house.release(released)

    assert [b"11", b"22", b"33", b"44", b"77"] == sorted(entries(house))


def test_an_entry_stays_for_one_crl_beyond_the_end(house):
    """RFC 5280 section 3.3: it is dropped only after a CRL issued past the validity."""
    house.revoke(house.issued(1, not_after=house.now - DAY), entry=b"1")
    assert [b"1"] == entries(house)  # no CRL has shown it yet

    def issue(number, this_update):
        with house.database.transaction() as connection:
            row = {
                "generation_id": house.generation,
                "scope": "full",
                "number": number,
                "state": "issued",
                "this_update": this_update,
                "next_update": this_update + DAY,
                "entries": 0,
                "octets": 0,
                "revocations": 0,
            }
            connection.execute(insert(crl), row)

    issue(1, house.now - 2 * DAY)
    assert [b"1"] == entries(house)  # the last CRL was made while it was valid

    issue(2, house.now - DAY / 2)
    assert [] == entries(house)


def test_an_intent_of_an_unknown_template_is_no_conflict(house):
    """A broken reference is a mistake of ours, not a serial that is taken."""
    with pytest.raises(IntegrityError):
        house.intend(1, template_id=999)
