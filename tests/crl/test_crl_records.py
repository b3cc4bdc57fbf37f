"""Status, expiry and requests, for scripts."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.issuance import EnrollmentRequest, Requester, RequestState
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.der import read_pem
from pikaserver.asn1.serials import write_serial
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import throw_away_key, throw_away_request


def status(client, record):
    return client.get(f"/status/{write_serial(record.serial)}")


def test_a_valid_certificate(client, record):
    """The words are valid, revoked, expired and not found; nothing is cached."""
    answer = status(client, record)

    assert 200 == answer.status_code
    assert {
        "status": "valid",
        "serial": write_serial(record.serial),
        "authority": "issuing",
        "subject": "CN=plc-21",
        "not_before": "2026-01-02T12:00:00Z",
        "not_after": "2026-04-02T12:00:00Z",
    } == answer.json
    assert "no-store" == answer.headers["cache-control"]


def test_a_revoked_certificate_says_when_and_why(client, server, record):
    """RFC 5280's name of the reason, and since when the key was in doubt."""
    earlier = server.clock() - timedelta(hours=1)
    revocation = Revocation(server.clock(), RevocationReason.KEY_COMPROMISE, earlier)
    server.revoke(record, revocation, "test")

    told = status(client, record).json

    assert "revoked" == told["status"]
    assert "keyCompromise" == told["reason"]
    assert "2026-01-02T12:00:00Z" == told["revoked_at"]
    assert "2026-01-02T11:00:00Z" == told["invalidity_at"]


def test_a_certificate_on_hold_counts_as_revoked(client, server, record):
    """Nobody may rely on it now; the reason says that it may come back."""
    hold = Revocation(server.clock(), RevocationReason.CERTIFICATE_HOLD)
    server.revoke(record, hold, "test")

    told = status(client, record).json

    assert ("revoked", "certificateHold") == (told["status"], told["reason"])


def test_an_expired_certificate(client, server, record):
    """The last moment of its validity belongs to it."""
    server.clock.advance(timedelta(days=90))
    assert "valid" == status(client, record).json["status"]
    server.clock.advance(timedelta(seconds=1))

    assert "expired" == status(client, record).json["status"]


def test_an_unknown_serial_is_not_found_in_json_too(client):
    """A script reads the same field whatever the answer is."""
    answer = client.get("/status/0x00ff")

    assert 404 == answer.status_code
    assert {"status": "not found", "serial": "FF"} == answer.json


def test_a_serial_without_a_certificate_is_not_found(client, server, record):
    """Only its intent is stored: nobody may rely on it."""
    server.certificates.add(replace(record, certificate=None))

    answer = status(client, record)

    assert (404, "not found") == (answer.status_code, answer.json["status"])


def test_serials_are_taken_in_any_spelling(client, record):
    """With 0x, with colons, in small letters."""
    text = write_serial(record.serial)
    colons = ":".join(text[at : at + 2] for at in range(0, len(text), 2))

    for spelling in (text.lower(), f"0x{text}", colons, colons.lower()):
        assert "valid" == client.get(f"/status/{spelling}").json["status"]


@pytest.mark.parametrize("serial", ["xyz", "0", "1" * 41, "%00"])
def test_what_is_no_serial_is_a_problem(client, serial):
    """RFC 9457, with a sentence."""
    answer = client.get(f"/status/{serial}")

    assert 400 == answer.status_code
    assert "serial number" in answer.json["detail"]


def make(server, days, common_name):
    """Issue a certificate that expires in so many days from now."""
    server.templates.add(
        make_template(validity=replace(make_template().validity, period=timedelta(days=days)))
    )
    key = throw_away_key(server.entropy)
    return server.issue(read_csr(throw_away_request(key, common_name)))


def expired(client, query=""):
    return [(line["subject"], line["status"]) for line in client.get(f"/expired{query}").json]


def test_expired_lists_what_is_over_and_what_soon_will_be(client, server):
    """Thirty days either way, the oldest first."""
    for name, days in (("later", 41), ("soon", 39), ("now", 10), ("over", 5)):
        make(server, days, name)
    server.clock.advance(timedelta(days=10))

    assert [
        ("CN=over", "expired"),
        ("CN=now", "expires soon"),
        ("CN=soon", "expires soon"),
    ] == expired(client)
    assert [("CN=over", "expired"), ("CN=now", "expires soon")] == expired(client, "?days=0")
    assert 4 == len(expired(client, "?days=31"))


def test_long_expired_and_revoked_certificates_are_not_listed(client, server):
    """There is nothing left to renew."""
    make(server, 5, "long ago")
    server.clock.advance(timedelta(days=36))
    revoked = make(server, 5, "revoked")
    server.revoke(revoked, Revocation(server.clock(), RevocationReason.SUPERSEDED), "test")

    assert [] == expired(client)


def test_the_list_is_paged_through_and_bounded(client, server, record, monkeypatch):
    """Pages of a hundred are put together, up to a limit."""
    soon = server.clock() + timedelta(days=5)
    for number in range(2, 252):
        server.certificates.add(replace(record, id=number, not_after=soon))

    assert 250 == len(expired(client))
    monkeypatch.setattr("pikaserver_crl.records.LINES_LIMIT", 120)
    assert 120 == len(expired(client))


def test_what_is_not_listed_costs_nothing(client, server, record, monkeypatch):
    """Anybody may ask, so a million revoked certificates must not be read through."""
    revocation = Revocation(server.clock(), RevocationReason.SUPERSEDED)
    soon = server.clock() + timedelta(days=5)
    for number in range(2, 602):
        server.certificates.add(replace(record, id=number, not_after=soon, revocation=revocation))
    pages = []
    find = server.certificates.find
    monkeypatch.setattr(
        server.certificates, "find", lambda query: pages.append(query) or find(query)
    )

    assert [] == expired(client)
    assert 2 == len(pages)


@pytest.mark.parametrize("days", ["-1", "367", "x", "1e3"])
def test_days_are_a_small_number(client, days):
    """Falcon's own error, as a problem."""
    assert 400 == client.get(f"/expired?days={days}").status_code


def waiting(server):
    """Send a request that somebody has to approve, twice if it is approved."""
    server.templates.add(make_template(approval=True, proofs=frozenset({"test"})))
    csr = read_csr(throw_away_request(throw_away_key(bytes), "plc-21"))
    return server.enroll(EnrollmentRequest(csr, Requester("test", "test"), "device", "est"))


def test_a_request_that_waits_has_no_certificate_yet(client, server):
    """202 and when to ask again; nothing is told of the request."""
    waiting(server)

    answer = client.get("/requests/1/download")

    assert (202, "60") == (answer.status_code, answer.headers["retry-after"])
    assert {"status": "pending", "request": 1} == answer.json


def test_the_certificate_of_an_issued_request_can_be_fetched(client, server):
    """Certificates are public."""
    waiting(server)
    server.approve(1)
    issued = waiting(server)

    answer = client.get("/requests/1/download")

    assert (200, "application/x-pem-file") == (answer.status_code, answer.headers["content-type"])
    assert [issued.certificate] == read_pem(answer.content, "CERTIFICATE")


@pytest.mark.parametrize(
    "path", ["/requests/2/download", "/requests/0/download", "/requests/x/download"]
)
def test_an_unknown_request_is_not_found(client, server, path):
    """Neither a number that is not there nor what is no number."""
    waiting(server)

    assert 404 == client.get(path).status_code


def test_a_declined_request_has_nothing_to_fetch(client, server):
    """The answer says why."""
    waiting(server)
    server.requests.records[1] = replace(server.requests.get(1), state=RequestState.DECLINED)

    answer = client.get("/requests/1/download")

    assert (404, "request 1 was declined") == (answer.status_code, answer.json["detail"])
