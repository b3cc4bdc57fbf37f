"""The status of serial numbers, as OCSP asks for it: one look, nothing more than needed."""

from datetime import timedelta

from pikaserver.api.certificates import Revocation, RevocationReason, SerialStatus
from pikaserver.storage.certificates import CertificateStore

HOLD = RevocationReason.CERTIFICATE_HOLD


def status(house, *serials, generation=None):
    store = CertificateStore(house.database, lambda: house.now)
    return store.status(generation or house.generation, serials)


def test_only_serials_that_are_taken_are_returned(house):
    """What was never given out is left out, whatever number it is."""
    house.issued(0x0A)
    ends = house.now + timedelta(hours=12)

    found = status(house, 0x0A, 0x0B, 1, 2**159)

    assert {0x0A: SerialStatus(issued=True, not_after=ends, revocation=None)} == found
    assert {} == status(house)


def test_an_intent_is_not_issued_yet(house):
    """Its serial is taken; nobody was given a certificate."""
    house.intend(7)

    assert not status(house, 7)[7].issued


def test_a_revocation_is_told_with_time_reason_and_invalidity(house):
    """As it was stored; of an intent, too."""
    made = house.intend(7)
    house.revoke(made, HOLD)

    assert Revocation(house.now, HOLD) == status(house, 7)[7].revocation

    house.release(made)

    assert status(house, 7)[7].revocation is None


def test_many_serials_are_found_at_once(house):
    """Twenty certificates may be in one request."""
    for serial in range(1, 22):
        house.issued(serial)

    assert set(range(1, 22)) == set(status(house, *range(1, 40)))


def test_another_authoritys_serials_are_others(house):
    """Serials are one authority's own numbers."""
    house.issued(7)
    with house.database.transaction() as connection:
        other = house.add_authority(connection, "other")

    assert {} == status(house, 7, generation=other)


def test_a_commit_of_anybody_changes_the_number_of_commits(house):
    """So whoever remembers something knows at once whether it still holds."""
    before = house.database.commits()
    assert before == house.database.commits()

    house.issued(7)

    if before is None:
        assert house.database.engine.dialect.name == "postgresql"
    else:
        assert before != house.database.commits()
