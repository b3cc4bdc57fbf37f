"""Intune orders certificates to be revoked, and hears what became of it."""

import pytest
from cryptography import x509

from pikaserver.api.certificates import CertificateStatus, RevocationReason
from pikaserver.api.errors import Unavailable
from tests.scep_challenges.house import make_csr


@pytest.fixture
def house(make_house):
    """Give a server whose devices ask Intune."""
    return make_house()


def test_orders_to_revoke_are_carried_out_and_reported(house, intune, asked):
    """Revoked first, reported then; what is not ours, or cannot be read, is reported, too."""
    issued = house.enroll(asked)
    serial = f"{x509.load_der_x509_certificate(issued.certificate).serial_number:X}"
    intune.orders = [
        {"requestContext": "o-1", "serialNumber": serial, "issuerName": None},
        {"requestContext": "o-2", "serialNumber": "ABCDEF", "issuerName": "CN=other"},
        {"requestContext": "o-3", "serialNumber": "not a number", "issuerName": None},
    ]

    house.run_jobs("scep-intune-contoso-revocations")

    record = house.server.certificates.get(issued.record.id)
    assert CertificateStatus.REVOKED is record.status
    assert RevocationReason.CESSATION_OF_OPERATION is record.revocation.reason
    assert [("o-1", True, 0), ("o-2", False, 4004), ("o-3", False, 4002)] == [
        (r["requestContext"], r["succeeded"], r["errorCode"]) for r in intune.results
    ]
    assert [] == intune.orders


def test_an_order_that_could_not_be_reported_comes_again(house, intune, asked):
    """The certificate stays revoked, and the second report is a success."""
    issued = house.enroll(asked)
    intune.orders = [{"requestContext": "o-1", "serialNumber": f"{issued.record.serial:x}"}]
    intune.take_results = False
    with pytest.raises(Unavailable):
        house.run_jobs("scep-intune-contoso-revocations")
    intune.take_results = True

    house.run_jobs("scep-intune-contoso-revocations")

    assert [("o-1", True)] == [(r["requestContext"], r["succeeded"]) for r in intune.results]


def test_orders_reach_certificates_of_this_connector_only(house, intune):
    """A tenant cannot revoke what another door or template has issued."""
    foreign = house.server.issue(make_csr("web"), "laptop")
    intune.orders = [{"requestContext": "o-1", "serialNumber": f"{foreign.serial:x}"}]

    house.run_jobs("scep-intune-contoso-revocations")

    assert CertificateStatus.VALID is house.server.certificates.get(foreign.id).status
    assert [4004] == [result["errorCode"] for result in intune.results]
