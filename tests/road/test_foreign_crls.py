"""CRLs that were signed elsewhere: verified, never older, and numbers that go on."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pikaserver.api.crls import DELTA_CRL
from pikaserver.api.errors import Conflict, NotFound, RequestRejected, SignatureFaulty
from pikaserver.api.operations import CrlIssued
from pikaserver.api.signing import KeyReference
from pikaserver.asn1 import der
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from tests.road.crl_ground import Elsewhere, change, elsewhere_on, value

EXPIRED_ON_CRL = x509.ObjectIdentifier("2.5.29.60")


@pytest.fixture(autouse=True)
def usual(server):
    """Let each test begin with the settings and the CRLs of every other one."""
    yield
    change(server)
    server.clock.advance(timedelta(days=1))


@pytest.fixture
def elsewhere(server):
    """Return a root elsewhere that this server serves, under a name of its own."""
    return elsewhere_on(server)


def test_a_crl_from_elsewhere_is_served(server, elsewhere):
    """A keyless authority's: verified, announced, and replaced by newer ones only."""
    seen = []
    server.events.add([type("Seen", (), {"notice": lambda _, event: seen.append(event)})()])
    name = elsewhere.authority

    server.foreign_crls.upload(name, elsewhere.crl(7, 5), "test")
    server.foreign_crls.upload(name, elsewhere.crl(8, 5, 6), "test")

    assert 2 == len(x509.load_der_x509_crl(server.crls.latest(name).crl))
    assert [7, 8] == [one.record.number for one in seen if isinstance(one, CrlIssued)]
    for older in (elsewhere.crl(8), elsewhere.crl(7, 5)):
        with pytest.raises(Conflict, match="newer"):
            server.foreign_crls.upload(name, older, "test")
    early = elsewhere.crl(9, at=elsewhere.at - timedelta(hours=1))
    with pytest.raises(Conflict, match="later"):
        server.foreign_crls.upload(name, early, "test")
    with pytest.raises(Conflict, match="no key here"):
        server.crls.issue(name)


def test_a_foreign_crl_is_refused(server, elsewhere):
    """Another issuer, another key, over, of the future, partial; each in its words."""
    name, other = elsewhere.authority, Elsewhere(elsewhere.at, "Other")
    twin = Elsewhere(elsewhere.at)
    twin.name = elsewhere.name
    partial = x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=True,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    upload = server.foreign_crls.upload
    for octets, error, why in (
        (other.crl(1), RequestRejected, "is of 'CN=Other'"),
        (twin.crl(1), SignatureFaulty, "not signed"),
        (elsewhere.crl(1, at=elsewhere.at - timedelta(days=9)), RequestRejected, "ended"),
        (elsewhere.crl(1, at=elsewhere.at + timedelta(days=1)), RequestRejected, "future"),
        (elsewhere.crl(1, extensions=[partial]), RequestRejected, "part"),
        (elsewhere.crl(2, extensions=[x509.DeltaCRLIndicator(1)]), RequestRejected, "full CRL"),
        (elsewhere.crl(None), RequestRejected, "no number"),
    ):
        with pytest.raises(error, match=why):
            upload(name, octets, "test")
    with pytest.raises(NotFound):
        server.crls.latest(name)
    with pytest.raises(Conflict, match="on this server"):
        upload("issuing", elsewhere.crl(1), "test")


def test_a_delta_from_elsewhere_goes_with_its_full_one(server, elsewhere):
    """It is served beside it."""
    name = elsewhere.authority
    server.foreign_crls.upload(name, elsewhere.crl(4, 1), "test")

    delta = elsewhere.crl(5, 2, extensions=[x509.DeltaCRLIndicator(4)])
    taken = server.foreign_crls.upload(name, delta, "test")

    assert (DELTA_CRL, 4) == (taken.scope, taken.base_number)
    assert delta == server.crls.latest(name, None, DELTA_CRL).crl


def test_an_authority_that_comes_here_goes_on_with_its_numbers(server):
    """What was revoked before stays on every CRL that we sign."""
    former = Elsewhere(server.clock(), "Came Here")
    backend = server.signers.backend(KeyReference("software", "x"))
    pkcs8 = former.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    reference = KeyReference("software", f"came-{server.clock():%Y%m%d%H%M}")
    backend.import_key(reference, pkcs8, exportable=False)
    name = f"came-{server.clock():%Y%m%d%H%M}"
    plan = AuthorityPlan(name, CaContent(x509.Name([])), "ec-p256", reference, "ecdsa-sha256")
    server.ceremony.import_existing(plan, [former.certificate], "test")

    known_since = x509.load_der_x509_crl(last := former.crl(41, 0xAA, 0xBB)).last_update_utc
    server.foreign_crls.take_over(name, last, "test")
    settings = server.authorities.settings(name).model_copy(update={"crl_keep_expired": True})
    server.ceremony.save_settings(name, settings, "test")
    server.clock.advance(timedelta(days=2))
    (record,) = server.crls.issue(name)

    crl = x509.load_der_x509_crl(record.crl)
    assert 42 == record.number
    # What earlier ones left out nobody knows here, so nothing is promised of it.
    (since,) = (one.value.value for one in crl.extensions if one.oid == EXPIRED_ON_CRL)
    assert der.generalized_time(known_since) == since
    assert {0xAA, 0xBB} == {one.serial_number for one in crl}
    assert (
        x509.ReasonFlags.superseded
        == value(crl.get_revoked_certificate_by_serial_number(0xAA), x509.CRLReason).reason
    )
    with pytest.raises(Conflict, match="already"):
        server.foreign_crls.take_over(name, former.crl(50), "test")
