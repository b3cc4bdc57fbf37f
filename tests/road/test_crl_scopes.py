"""Deltas and parts of a partition; openssl agrees."""

from datetime import timedelta

import pytest
from cryptography import x509

from pikaserver.api.crls import DELTA_CRL, FULL_CRL, shard_scope
from pikaserver.authority.crls import signing
from pikaserver.testing.requirements import require_program
from tests.road.crl_ground import (
    HOLD,
    change,
    due,
    issue,
    latest,
    lists,
    revoke,
    value,
    verdict,
)


@pytest.fixture
def openssl():
    return require_program("openssl", package="openssl")


@pytest.fixture(autouse=True)
def usual(server):
    """Let each test begin with the settings and the CRLs of every other one."""
    yield
    change(server)
    server.clock.advance(timedelta(days=1))


def test_a_delta_tells_what_came_since_its_full_crl(server, make_csr, openssl, tmp_path):
    """RFC 5280 section 5.2.4: one sequence of numbers, the base named, openssl takes it."""
    change(server, crl_deltas=True)
    before, since = issue(server, make_csr), issue(server, make_csr)
    good = issue(server, make_csr)
    revoke(server, before)
    server.crls.issue("issuing")
    full, empty = latest(server), latest(server, DELTA_CRL)
    assert value(full, x509.CRLNumber) == value(empty, x509.CRLNumber)
    server.clock.advance(timedelta(minutes=1))

    revoke(server, since)
    assert {("issuing", DELTA_CRL)} == due(server)

    delta = latest(server, DELTA_CRL)
    assert full == latest(server)
    assert value(full, x509.CRLNumber).crl_number == value(delta, x509.DeltaCRLIndicator).crl_number
    assert value(delta, x509.CRLNumber).crl_number > value(full, x509.CRLNumber).crl_number
    assert value(full, x509.FreshestCRL)
    assert (None, 1) == (lists(delta, before), len(delta))
    assert lists(delta, since) is not None
    for record, code in ((before, 2), (since, 2), (good, 0)):
        scopes = (FULL_CRL, DELTA_CRL)
        assert code == verdict(openssl, server, tmp_path, record, *scopes, deltas=True)[0]


def test_certificates_point_to_the_delta(server, make_csr):
    """Freshest CRL, RFC 5280 section 4.2.1.15; without deltas there is none."""
    change(server, crl_deltas=True)
    certificate = x509.load_der_x509_certificate(issue(server, make_csr).certificate)

    (point,) = value(certificate, x509.FreshestCRL)

    assert point.full_name[0].value.endswith("/crl/issuing.g1-delta.crl")
    change(server)
    plain = x509.load_der_x509_certificate(issue(server, make_csr).certificate)
    with pytest.raises(x509.ExtensionNotFound):
        value(plain, x509.FreshestCRL)


def test_what_is_released_from_hold_is_removed_by_the_delta(server, make_csr, openssl, tmp_path):
    """removeFromCRL, RFC 5280 section 5.3.1; held again it is listed again."""
    change(server, crl_deltas=True)
    record = issue(server, make_csr)
    held = revoke(server, record, HOLD)
    server.crls.issue("issuing")
    server.clock.advance(timedelta(minutes=1))
    free = server.release(held, "test")
    due(server)

    entry = lists(latest(server, DELTA_CRL), record)
    assert x509.ReasonFlags.remove_from_crl == value(entry, x509.CRLReason).reason
    scopes = (FULL_CRL, DELTA_CRL)
    assert 0 == verdict(openssl, server, tmp_path, record, *scopes, deltas=True)[0]

    server.clock.advance(timedelta(minutes=1))
    revoke(server, free)
    due(server)
    entry = lists(latest(server, DELTA_CRL), record)
    assert x509.ReasonFlags.key_compromise == value(entry, x509.CRLReason).reason


def test_the_full_one_keeps_to_its_hours_beside_deltas(server):
    """And a new delta goes with each new full one."""
    change(server, crl_deltas=True)
    server.crls.issue("issuing")
    server.clock.advance(timedelta(days=1))

    assert {("issuing", FULL_CRL), ("issuing", DELTA_CRL)} <= due(server)
    base = value(latest(server, DELTA_CRL), x509.DeltaCRLIndicator).crl_number
    assert base == value(latest(server), x509.CRLNumber).crl_number
    assert set() == due(server)


def test_a_revocation_between_a_full_crl_and_its_delta_gets_a_number_of_its_own(
    server, make_csr, openssl, tmp_path, monkeypatch
):
    """RFC 5280 section 5.2.4: of the same number they say the same, so the next delta tells it."""
    change(server, crl_deltas=True)
    record = issue(server, make_csr)
    spooled = signing.spooled

    def revoke_before(database, wanted, file, tell):
        if wanted.scope == DELTA_CRL:
            monkeypatch.setattr(signing, "spooled", spooled)
            revoke(server, record)
        return spooled(database, wanted, file, tell)

    monkeypatch.setattr(signing, "spooled", revoke_before)
    server.crls.issue("issuing")
    full, empty = latest(server), latest(server, DELTA_CRL)
    assert value(full, x509.CRLNumber) == value(empty, x509.CRLNumber)
    assert 0 == len(empty)

    assert {("issuing", DELTA_CRL)} == due(server)
    scopes = (FULL_CRL, DELTA_CRL)
    assert 2 == verdict(openssl, server, tmp_path, record, *scopes, deltas=True)[0]


def test_the_delta_of_what_is_not_on_parts_is_about_the_same(server, make_csr, openssl, tmp_path):
    """Its issuing distribution point is its full CRL's, or no verifier joins them."""
    plain, held = issue(server, make_csr), issue(server, make_csr)
    change(server, crl_shards=2, crl_full=False, crl_deltas=True)
    sharded, sharded_held = issue(server, make_csr), issue(server, make_csr)
    free = [revoke(server, one, HOLD) for one in (held, sharded_held)]
    server.crls.issue("issuing")
    server.clock.advance(timedelta(minutes=1))

    for one in (plain, sharded):
        revoke(server, one)
    for one in free:
        server.release(one, "test")
    due(server)

    full, delta = latest(server), latest(server, DELTA_CRL)
    point = x509.IssuingDistributionPoint
    assert value(full, point) == value(delta, point)
    assert {plain.serial, held.serial} == {one.serial_number for one in delta}
    for record, code in ((plain, 2), (held, 0)):
        scopes = (FULL_CRL, DELTA_CRL)
        assert code == verdict(openssl, server, tmp_path, record, *scopes, deltas=True)[0]


def test_a_shard_lists_its_own_and_names_itself(server, make_csr, openssl, tmp_path):
    """RFC 5280 section 5.2.5: the name in it is the one that certificates point to."""
    change(server, crl_shards=3)
    records = [issue(server, make_csr) for _ in range(12)]
    gone, kept = records[0], records[1]
    shard = gone.serial % 3 + 1
    server.crls.issue("issuing")
    server.clock.advance(timedelta(minutes=1))
    revoke(server, gone)

    made = due(server)
    assert {("issuing", FULL_CRL), ("issuing", shard_scope(shard))} == made - {
        ("issuing", DELTA_CRL)
    }

    crl = latest(server, shard_scope(shard))
    certificate = x509.load_der_x509_certificate(gone.certificate)
    (point,) = value(certificate, x509.CRLDistributionPoints)
    assert point.full_name == value(crl, x509.IssuingDistributionPoint).full_name
    assert point.full_name[0].value.endswith(f"/crl/issuing.g1-{shard}.crl")
    assert lists(crl, gone) is not None
    assert lists(latest(server), gone) is not None
    own = shard_scope(shard)
    code, text = verdict(openssl, server, tmp_path, gone, own)
    assert (2, True) == (code, "revoked" in text)
    assert 0 == verdict(openssl, server, tmp_path, kept, shard_scope(kept.serial % 3 + 1))[0]
    foreign = shard_scope((kept.serial + 1) % 3 + 1)
    code, text = verdict(openssl, server, tmp_path, kept, foreign)
    assert 2 == code


def test_a_shard_is_for_life(server, make_csr):
    """Another number of parts concerns what is issued afterwards."""
    change(server, crl_shards=3)
    record = issue(server, make_csr)
    server.crls.issue("issuing")
    change(server, crl_shards=2)
    revoke(server, record)
    server.clock.advance(timedelta(minutes=1))
    due(server)

    assert lists(latest(server, shard_scope(record.serial % 3 + 1)), record) is not None


def test_the_full_one_may_leave_the_parts_to_themselves(server, make_csr):
    """It covers the rest, and says so: an issuing distribution point is in it."""
    plain = issue(server, make_csr)
    change(server, crl_shards=2, crl_full=False)
    sharded = issue(server, make_csr)
    for record in (plain, sharded):
        revoke(server, record)
    server.clock.advance(timedelta(minutes=1))
    due(server)

    rest = latest(server)
    assert (True, None) == (lists(rest, plain) is not None, lists(rest, sharded))
    assert (
        value(rest, x509.IssuingDistributionPoint)
        .full_name[0]
        .value.endswith("/crl/issuing.g1.crl")
    )


def test_an_operators_url_has_a_place_for_the_shard(server, make_csr):
    """The same names stand in the certificate and in the CRL."""
    change(server, crl_shards=2, crl_urls=("http://a.example.test/x{shard}.crl",))
    record = issue(server, make_csr)
    server.crls.issue("issuing")

    certificate = x509.load_der_x509_certificate(record.certificate)
    (point,) = value(certificate, x509.CRLDistributionPoints)
    shard = record.serial % 2 + 1
    assert f"http://a.example.test/x-{shard}.crl" == point.full_name[0].value
    crl = latest(server, shard_scope(shard))
    assert point.full_name == value(crl, x509.IssuingDistributionPoint).full_name


def test_at_its_hours_only(server, make_csr):
    """A site may publish once a day, whatever was revoked."""
    change(server, crl_on_revocation=False)
    server.crls.issue("issuing")
    revoke(server, issue(server, make_csr))

    assert set() == due(server)
    server.clock.advance(timedelta(days=1))
    assert ("issuing", FULL_CRL) in due(server)


def test_the_expired_may_stay(server, make_csr):
    """X.509's expiredCertsOnCRL tells since when; else they leave after one more CRL."""
    change(server, crl_keep_expired=True)
    record = issue(server, make_csr)
    revoke(server, record)
    server.clock.advance(timedelta(days=400))
    for _ in range(2):
        server.crls.issue("issuing")
        server.clock.advance(timedelta(hours=1))

    crl = latest(server)
    assert lists(crl, record) is not None
    assert "2.5.29.60" in [one.oid.dotted_string for one in crl.extensions]
    change(server)
    server.crls.issue("issuing")
    assert lists(latest(server), record) is None
