"""pkilint judges what the validation authority signs: every kind of CRL, every unit's certificate.

It has linters for certificates and CRLs (RFC 5280); for time-stamps themselves it has none.
"""

from datetime import timedelta

import pytest
from pkilint import loader
from pkilint.pkix import create_attribute_decoder, create_extension_decoder, crl, extension, name
from pkilint.validation import ValidationFindingSeverity

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.crls import DELTA_CRL, FULL_CRL, shard_scope
from pikaserver.api.services import ServiceUse
from pikaserver.authority.authorities import ServiceSettings
from pikaserver.authority.pkilint_adapter import pkilint
from tests.road.crl_ground import HOLD, change, elsewhere_on, issue, revoke

REASONS = [one for one in RevocationReason if one is not RevocationReason.REMOVE_FROM_CRL]
KEY_TYPES = ("ec-p256", "ec-p384", "rsa-3072", "ml-dsa-44", "ml-dsa-65")
KINDS = {
    "full": ({}, FULL_CRL),
    "full beside a delta": ({"crl_deltas": True}, FULL_CRL),
    "delta": ({"crl_deltas": True}, DELTA_CRL),
    "shard": ({"crl_shards": 1}, shard_scope(1)),
    "rest": ({"crl_shards": 1, "crl_full": False}, FULL_CRL),
    "delta of the rest": ({"crl_shards": 1, "crl_full": False, "crl_deltas": True}, DELTA_CRL),
    "with the expired": ({"crl_keep_expired": True}, FULL_CRL),
}


@pytest.fixture(autouse=True)
def usual(server):
    """Let each test begin with the settings and the CRLs of every other one."""
    yield
    change(server)
    server.clock.advance(timedelta(days=1))


def findings(der):
    """Return what pkilint finds wrong or doubtful in a CRL."""
    validators = crl.create_pkix_crl_validator_container(
        [
            create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )
    document = loader.RFC5280CertificateListDocumentLoader().load_der_document(der, "crl")
    return [
        (found.finding.code, found.message)
        for result in validators.validate(document.root)
        for found in result.finding_descriptions
        if found.finding.severity <= ValidationFindingSeverity.WARNING
    ]


def revoke_for_every_reason(server, records):
    """Revoke one certificate for each reason, one with an invalidity date; release the last."""
    *others, last = records
    for record, reason in zip(others, REASONS, strict=True):
        at = server.clock()
        invalid_since = at - timedelta(hours=1) if reason is REASONS[1] else None
        server.revoke(record, Revocation(at, reason, invalid_since), "test")
    server.release(revoke(server, last, HOLD), "test")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_crl_is_clean(server, make_csr, kind):
    """Empty, and with entries for every reason."""
    settings, scope = KINDS[kind]
    plain = [issue(server, make_csr) for _ in range(len(REASONS) + 1)]
    change(server, **settings)
    of_shard = [issue(server, make_csr) for _ in range(len(REASONS) + 1)]
    server.crls.issue("issuing")
    assert [] == findings(server.crls.latest("issuing", None, scope).crl)

    server.clock.advance(timedelta(minutes=1))
    for records in (plain, of_shard):
        revoke_for_every_reason(server, records)
    server.crls.issue_due()
    if scope == FULL_CRL:
        server.crls.issue("issuing")

    record = server.crls.latest("issuing", None, scope)
    assert record.entries >= len(REASONS)
    assert [] == findings(record.crl)


def test_what_comes_from_elsewhere_is_clean(server):
    """It is served as it came, with its delta."""
    made = elsewhere_on(server)
    server.foreign_crls.upload(made.authority, made.crl(7, 5), "test")

    assert [] == findings(server.crls.latest(made.authority).crl)


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_the_certificate_of_every_unit_is_clean(server, key_type):
    """RFC 3161 section 2.3, RFC 5280: no error, and no warning."""
    before = server.authorities.settings("issuing")
    services = {"tsa": ServiceSettings(key_type=key_type)}
    after = before.model_copy(update={"services": services})
    server.ceremony.save_settings("issuing", after, "test")

    unit = server.services.get(ServiceUse("tsa", "Time-Stamping", "issuing", unit=key_type))

    assert () == pkilint(unit.certificate)
