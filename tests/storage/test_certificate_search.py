"""Searching certificates: what is found, and in which pages."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from pikaserver.api.certificates import CertificateQuery, CertificateStatus, RevocationReason
from pikaserver.api.errors import NotFound
from pikaserver.storage import certificates
from pikaserver.storage.certificates import CertificateStore

HOLD = RevocationReason.CERTIFICATE_HOLD
DAY = timedelta(days=1)


@pytest.fixture
def crowd(house):
    """One certificate of each status, from serial 1 on, and how to find each."""
    with house.database.transaction() as connection:
        house.add_authority(connection, "other")
    house.issued(1, subject="CN=Straße 100%_\\,O=Ä", names=("dns:one.example", "ip:10.0.0.1"))
    house.issued(2, not_after=house.now - DAY, template_id=house.device)
    house.revoke(house.issued(3, names=("email:a@b.example",)))
    house.revoke(house.issued(4), HOLD)
    house.intend(5, names=())
    house.issued(6, not_after=house.now + 2 * DAY, names=("dns:one.example",))
    return house


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"limit": 2}, [6, 5]),
        ({"after": 3}, [2, 1]),
        ({"serial": 3}, [3]),
        ({"serial": 99}, []),
        ({"serial": -1}, []),
        ({"subject": "STRASSE"}, [1]),
        ({"subject": "100%_\\,o=ä"}, [1]),
        ({"subject": "host-_"}, []),
        ({"subject": "%"}, [1]),
        ({"subject": "host-"}, [6, 5, 4, 3, 2]),
        ({"name": "ONE.example"}, [6, 1]),
        ({"name": "dns:one.example"}, [6, 1]),
        ({"name": "ip:10.0.0.1"}, [1]),
        ({"name": "a@b.example"}, [3]),
        ({"name": "one"}, []),
        ({"template": "device"}, [2]),
        ({"template": "nothing"}, []),
        ({"authority": "issuing"}, [6, 5, 4, 3, 2, 1]),
        ({"authority": "other"}, []),
        ({"status": CertificateStatus.VALID}, [6, 1]),
        ({"status": CertificateStatus.EXPIRED}, [2]),
        ({"status": CertificateStatus.REVOKED}, [3]),
        ({"status": CertificateStatus.ON_HOLD}, [4]),
        ({"status": CertificateStatus.PENDING}, [5]),
        ({"status": CertificateStatus.VALID, "name": "one.example", "after": 6}, [1]),
    ],
)
def test_certificates_are_found(crowd, query, expected):
    """Each field restricts; wildcards of SQL are letters like others."""
    assert expected == crowd.find(**query)


def test_certificates_are_found_by_their_end(crowd):
    """Both ends of the time may be given; a valid one that ends soon is the usual question."""
    now = crowd.now
    soon = {"expires_before": now + DAY}

    assert [6] == crowd.find(expires_after=now + DAY)
    assert [5, 4, 3, 2, 1] == crowd.find(**soon)
    assert [5, 4, 3, 1] == crowd.find(**soon, expires_after=now)
    assert [1] == crowd.find(**soon, status=CertificateStatus.VALID)
    assert [2] == crowd.find(**soon, status=CertificateStatus.EXPIRED)


def test_a_page_takes_two_statements_whatever_its_size(crowd):
    """The names of all certificates of a page come at once."""
    statements = []
    with crowd.database.reading() as connection:
        event.listen(connection, "before_execute", lambda *asked: statements.append(asked))
        found = certificates.find(connection, CertificateQuery(), crowd.now)

    assert [("dns:one.example",), (), ("dns:host-4.example",)] == [r.names for r in found][:3]
    assert ("dns:one.example", "ip:10.0.0.1") == found[-1].names
    assert 2 == len(statements)


def test_pages_follow_each_other_without_gap(house):
    """Keyset paging: what is issued between two pages does not shift them."""
    for serial in range(1, 8):
        house.issued(serial)
    store = CertificateStore(house.database, lambda: house.now)

    first = store.find(CertificateQuery(limit=3))
    house.issued(8)
    second = store.find(CertificateQuery(limit=3, after=first[-1].id))
    third = store.find(CertificateQuery(limit=3, after=second[-1].id))

    assert [7, 6, 5, 4, 3, 2, 1] == [r.serial for page in (first, second, third) for r in page]


def test_a_page_has_its_limit(house, monkeypatch):
    """Nobody asks for everything at once."""
    monkeypatch.setattr(certificates, "PAGE_LIMIT", 2)
    for serial in range(1, 4):
        house.issued(serial)

    assert [3, 2] == house.find(limit=10**9)


def test_a_certificate_is_found_by_its_octets(house):
    """The fingerprint is an index; what is not ours is not found."""
    made = house.issued(10)
    store = CertificateStore(house.database, lambda: house.now)

    assert made == store.by_certificate(b"certificate 10").id
    assert [10] == house.find(fingerprint=house.get(made).fingerprint.upper())
    with pytest.raises(NotFound, match="not one of ours"):
        store.by_certificate(b"certificate 11")
    with pytest.raises(NotFound):
        house.get(made + 1)
