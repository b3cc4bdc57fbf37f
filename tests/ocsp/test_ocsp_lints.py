"""pkilint's judgement on every kind of answer, and on responders' certificates."""

from datetime import timedelta

import pytest
from pkilint import loader, pkix, validation
from pkilint.pkix import extension, name, ocsp

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.services import ServiceUse
from pikaserver.asn1 import der
from pikaserver.asn1.ocsp_reading import read_response
from pikaserver.asn1.ocsp_requests import write_request
from pikaserver.asn1.ocsp_writing import response, response_data, signed_part
from pikaserver.authority.pkilint_adapter import pkilint
from pikaserver.testing.servers import make_server

WORST = validation.ValidationFindingSeverity.WARNING


@pytest.fixture(scope="module")
def lint():
    """Return what pkilint finds in an answer, warnings included."""
    validators = ocsp.create_pkix_ocsp_response_validator_container(
        [
            ocsp.create_response_decoder(),
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [],
    )

    def found(octets):
        document = loader.RFC6960OCSPResponseDocumentLoader().load_der_document(octets)
        return [
            (description.finding.code, result.node.path, description.message)
            for result in validators.validate(document.root)
            for description in result.finding_descriptions
            if description.finding.severity <= WORST
        ]

    return found


def answers(house):
    """Yield answers of every kind that there is."""

    def ask(*cert_ids, nonce=None):
        return house.ocsp.responder.answer(write_request(cert_ids, nonce)).octets

    good = house.issue()
    yield ask(house.cert_id(good))
    yield ask(house.cert_id(good, 4), nonce=b"n" * 32)
    yield ask(house.stranger())
    for number, reason in enumerate(RevocationReason):
        if reason is RevocationReason.REMOVE_FROM_CRL:
            continue
        record = house.issue(f"plc-{number}")
        since = house.server.clock() - timedelta(days=number) if number % 2 else None
        house.revoke(record, reason, since)
        yield ask(house.cert_id(record))
    yield ask(house.cert_id(good), house.cert_id(record), house.stranger(), nonce=b"n")
    yield house.ocsp.responder.answer(b"").octets


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"responder_id": "name"},
        {"signer": "own"},
        {"never_issued": "revoked", "archive_days": 365},
    ],
    ids=str,
)
def test_pkilint_finds_nothing_in_any_answer(make_house, lint, settings):
    """Whatever it says, and by whom."""
    for octets in answers(make_house(**settings)):
        assert [] == lint(octets)


def test_pkilint_finds_what_is_wrong(house, lint):
    """A judge that never objects would prove nothing."""
    octets = house.ocsp.responder.answer(write_request([house.cert_id(house.issue())])).octets
    _, basic = read_response(octets)
    longer = der.context(2, der.octet_string(bytes(32)))
    tbs = response_data(longer, basic.produced_at, [])

    found = lint(response(signed_part(tbs, "ecdsa-sha256", basic.signature)))

    assert "pkix.ocsp_responderid_keyhash_is_not_sha1" in [code for code, _, _ in found]


@pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048", "ed25519", "ml-dsa-65"])
def test_pkilint_finds_nothing_in_a_responders_certificate(tmp_path, key_type):
    """As the starter "ocsp" makes it."""
    with make_server(tmp_path, key_type=key_type) as server:
        key = server.services.get(ServiceUse("ocsp", "OCSP", "issuing"))

    assert () == pkilint(key.certificate)
