"""What keeps a responder from answering, and what is told then."""

from datetime import UTC, datetime, timedelta

import pytest

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.errors import Conflict, KeyUnavailable, RequestRejected, StorageUnavailable
from pikaserver.api.operations import HealthState
from pikaserver.asn1.ocsp import (
    ResponseStatus,
)
from pikaserver.asn1.ocsp_requests import write_request

HOLD = RevocationReason.CERTIFICATE_HOLD
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_a_key_that_speaks_for_one_authority_only_says_so(house):
    """An agent's policy refuses the others' certificates; that is no fault of its health."""
    leaf, root = house.issue("leaf"), house.issue("ca", "root")

    def refuse(_key, _tbs):
        raise RequestRejected("a certificate of another issuer is answered for")

    house.sign_by(refuse)

    octets = write_request([house.cert_id(leaf), house.cert_id(root)])
    assert ResponseStatus.UNAUTHORIZED is house.error(octets)
    assert HealthState.OK is house.ocsp.counts.health().state
    assert ResponseStatus.INTERNAL_ERROR is house.error(write_request([house.cert_id(leaf)]))
    assert HealthState.DEGRADED is house.ocsp.counts.health().state


def test_an_answer_never_outlives_its_responder(make_house):
    """Nobody could verify it afterwards."""
    house = make_house(validity_seconds=10 * 86_400)
    record = house.issue()
    house.status(record)
    house.server.clock.advance(timedelta(days=29))

    basic = house.ask(house.cert_id(record), nonce=b"n")

    assert house.signer(basic).not_valid_after_utc == basic.answers[0].next_update


def test_an_ended_responder_signs_nothing(house, record):
    """Its services say otherwise only while something is wrong with renewing it."""
    house.status(record)
    house.server.clock.advance(timedelta(days=31))

    octets = write_request([house.cert_id(record)], b"n")
    assert ResponseStatus.TRY_LATER is house.error(octets)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyUnavailable("the token is away"), ResponseStatus.TRY_LATER),
        (StorageUnavailable("the disk is full"), ResponseStatus.TRY_LATER),
        (Conflict("its key is elsewhere"), ResponseStatus.UNAUTHORIZED),
        (RequestRejected("the template is disabled"), ResponseStatus.INTERNAL_ERROR),
    ],
)
def test_what_keeps_a_responder_from_signing_is_told_in_ocsps_words(house, record, error, status):
    """Section 2.3; the health check has the sentence."""
    house.server.services.failure = error

    for nonce in (None, b"n"):
        assert status is house.error(write_request([house.cert_id(record)], nonce))
    assert f"issuing.g1: {error}" in house.ocsp.counts.health().detail

    house.server.services.failure = None
    assert "good" == house.status(record)
    assert HealthState.OK is house.ocsp.counts.health().state


def test_answers_and_errors_are_counted(house, record):
    """By authority and by what they say; an error has no authority."""
    house.ask(house.cert_id(record), house.stranger("root"))
    house.error(b"nonsense")

    assert {
        ("issuing", "good"): 1,
        ("root", "unknown"): 1,
        ("", "malformedRequest"): 1,
    } == {
        (dict(one.labels)["authority"], dict(one.labels)["status"]): one.value
        for one in house.ocsp.counts.answers()
    }
