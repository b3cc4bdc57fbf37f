"""Intune end to end, before a local service of the shape that Microsoft has published."""

import base64
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from pikaserver.api.errors import NotAuthenticated, RequestRejected
from pikaserver.api.issuance import Issued, Pending, RequestState
from pikaserver.api.operations import Alarm
from pikaserver_scep.challenges.intune.states import IntuneRequests
from pikaserver_scep.challenges.method import Postponed
from pikaserver_scep.challenges.tables import intune_request
from tests.scep_challenges.house import make_csr
from tests.scep_challenges.intune_stand_in import (
    BLOB,
)


@pytest.fixture
def house(make_house):
    return make_house()


def states(house):
    with house.server.database.reading() as connection:
        return list(
            connection.scalars(intune_request.select().with_only_columns(intune_request.c.state))
        )


@contextmanager
def down(intune):
    intune.down = True
    yield
    intune.down = False


def test_a_validated_request_gets_its_certificate_and_intune_hears_of_it(house, intune, asked):
    """Token, discovery, validateRequest, the certificate, successNotification: in this order."""
    issued = house.enroll(asked)
    house.run_jobs()

    certificate = x509.load_der_x509_certificate(issued.certificate)
    (told,) = intune.successes
    assert ["A1B2"] == intune.validated
    assert "A1B2" == told["transactionId"]
    assert asked.csr.der == base64.b64decode(told["certificateRequest"])
    assert certificate.fingerprint(hashes.SHA1()).hex().upper() == told["certificateThumbprint"]  # noqa: S303 - Windows' name of it
    assert f"{certificate.serial_number:X}" == told["certificateSerialNumber"]
    assert (
        f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%S}.000Z"
        == (told["certificateExpirationDateUtc"])
    )
    assert not intune.failures
    assert ["told"] == states(house)


def test_tokens_and_places_are_asked_once(house, intune):
    """Two tokens (Graph, Intune) and one discovery serve many requests."""
    for number in range(3):
        house.enroll(house.question(make_csr(f"laptop-{number}", BLOB), transaction=f"t-{number}"))

    assert 2 == intune.tokens_given
    assert 1 == sum("servicePrincipals" in path for path in intune.log)


def test_what_intune_refuses_is_refused_and_nothing_is_told(house, intune):
    """Its word goes into the reason; nothing is issued, and nothing is remembered."""
    with pytest.raises(NotAuthenticated, match="ChallengeDecryptionError"):
        house.enroll(house.question(make_csr("laptop-7", "made-up")))
    house.run_jobs()

    assert not house.server.certificates.records
    assert ([], []) == (intune.successes, intune.failures)
    assert [] == states(house)


def test_a_changed_subject_is_refused_by_intune(house, intune, asked):
    """Intune compares the request with the profile that it sent."""
    intune.refuse["validateRequest"] = "SubjectNameMismatch"

    with pytest.raises(NotAuthenticated, match="SubjectNameMismatch"):
        house.enroll(asked)

    assert not house.server.certificates.records


def test_a_challenge_of_intune_buys_one_certificate(house, intune, asked):
    """The same message again asks Intune no more, and finds its challenge spent."""
    house.enroll(asked)

    with pytest.raises(NotAuthenticated, match="was used already"):
        house.enroll(asked)

    assert 1 == len(intune.validated)
    assert 1 == len(house.server.certificates.records)


def test_a_rule_of_ours_that_refuses_is_told_as_a_failure(house, intune, asked):
    """Intune's records show why the device has no certificate."""
    house.server.refuse_next(RequestRejected("the name is not ours"))
    with pytest.raises(RequestRejected):
        house.enroll(asked)
    house.run_jobs()

    (told,) = intune.failures
    assert ("A1B2", "the name is not ours") == (told["transactionId"], told["errorDescription"])
    assert 0xA0070001 == told["hResult"]
    assert ["told"] == states(house)
    with pytest.raises(NotAuthenticated):
        house.enroll(asked)


def test_while_the_service_is_down_the_device_waits_and_then_gets_it(house, intune, asked):
    """Pending, and the same question again with the next poll."""
    with down(intune):
        first = house.enroll(asked)
        second = house.enroll(asked)

    issued = house.enroll(asked)
    house.run_jobs()

    assert isinstance(first, Postponed)
    assert isinstance(second, Postponed)
    assert isinstance(issued, Issued)
    assert 1 == len(intune.successes)


def test_a_device_that_waited_too_long_is_refused_and_intune_hears_of_it_later(
    house, intune, asked
):
    """Service down: pending, then a failure, whose notification waits for the service."""
    with down(intune):
        house.enroll(asked)
        house.clock.advance(timedelta(hours=24))
        with pytest.raises(NotAuthenticated, match="could not be asked"):
            house.enroll(asked)
        house.run_jobs("scep-intune-contoso")
        assert ["failure"] == states(house)

    house.run_jobs()
    assert [] == intune.failures
    house.clock.advance(timedelta(seconds=30))
    house.run_jobs()

    (told,) = intune.failures
    assert "could not be asked" in told["errorDescription"]
    assert ["told"] == states(house)
    assert not house.server.certificates.records


def test_a_device_that_never_came_back_is_told_as_a_failure(house, intune, asked):
    """The job notices by itself."""
    with down(intune):
        house.enroll(asked)
    for _ in range(2):
        house.clock.advance(timedelta(hours=24))
        house.run_jobs()

    assert ["the request was never finished"] == [f["errorDescription"] for f in intune.failures]


def test_a_success_that_could_not_be_told_is_told_later(house, intune, asked):
    """The device has its certificate; the notification is kept until it is through."""
    house.enroll(asked)
    with down(intune):
        house.run_jobs("scep-intune-contoso")
        house.clock.advance(timedelta(seconds=30))
        house.run_jobs("scep-intune-contoso")
    house.run_jobs()
    assert [] == intune.successes
    house.clock.advance(timedelta(minutes=1))
    house.run_jobs()

    assert 1 == len(intune.successes)


def test_what_intune_never_takes_becomes_an_alarm(house, intune, asked):
    """A person looks at it; the queue goes on."""
    intune.refuse["successNotification"] = "BadCertificateRequestIdInChallenge"
    house.enroll(asked)
    house.run_jobs()

    (alarm,) = [event for event in house.server.events if isinstance(event, Alarm)]
    assert "scep.intune-not-told" == alarm.name
    assert "BadCertificateRequestIdInChallenge" in alarm.text
    assert ["told"] == states(house)


@pytest.mark.parametrize("approved", [True, False])
def test_what_a_person_decides_later_is_told_of_too(house, intune, asked, approved):
    """The job finds what became of a request that waited, though the device asks no more."""
    house.template("device", approval=True)
    waiting = house.enroll(house.question(asked.csr, transaction="A1B2"))
    house.run_jobs()
    record = house.server.requests.get(waiting.request_id)
    if approved:
        issued = house.server.issue(asked.csr)
        after = replace(record, state=RequestState.ISSUED, certificate_id=issued.id)
    else:
        after = replace(record, state=RequestState.DECLINED, comment="stolen")
    house.server.requests.records[record.id] = after
    for _ in range(2):
        house.clock.advance(timedelta(minutes=5))
        house.run_jobs()

    assert isinstance(waiting, Pending)
    assert (approved, not approved) == (bool(intune.successes), bool(intune.failures))
    assert all("declined: stolen" == told["errorDescription"] for told in intune.failures)


def test_after_a_crash_the_job_finds_the_certificate(house, intune, asked):
    """Nobody told how it ended: the certificate on record does."""
    verdict = house.desk.check(asked)
    with house.server.database.transaction() as connection:
        verdict.requester.proof.spend(connection)
    house.server.issue(asked.csr)
    house.clock.advance(timedelta(minutes=5))
    house.run_jobs()
    house.run_jobs()

    assert 1 == len(intune.successes)


def test_a_one_time_challenge_beside_intune_is_none_of_its_business(house, intune):
    """The first method that knows the password decides."""
    issued = house.enroll(house.question(make_csr(password=house.challenge())))
    house.run_jobs()

    assert isinstance(issued, Issued)
    assert ([], []) == (intune.validated, intune.successes)


def test_the_csr_is_kept_sealed(house, asked):
    """The challenge is inside."""
    house.enroll(asked)

    with house.server.database.reading() as connection:
        (row,) = connection.execute(intune_request.select()).all()
    assert BLOB.encode() not in row.csr
    assert asked.csr.der == IntuneRequests(house.server).find(asked).csr
