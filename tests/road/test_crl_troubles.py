"""CRLs while others sign at the same moment, and where there is no room for them."""

import tempfile
from dataclasses import replace

import pytest
from cryptography import x509

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import RequestRejected, StorageUnavailable
from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.authority.crls import signing
from pikaserver.storage import crls


def revoke_one(server, make_csr):
    csr = make_csr("revoked.example.test")
    request = EnrollmentRequest(csr, Requester("t", "operator"), "device", "cli")
    record = server.enroll(request).record
    server.revoke(record, Revocation(server.clock(), RevocationReason.SUPERSEDED), "test")


def test_a_crl_is_whole_though_a_newer_one_comes_while_it_is_read(server, make_csr, monkeypatch):
    """The octets of the old one are dropped; an empty answer would be cached by clients."""
    server.crls.issue("issuing")
    after_a_start = replace(server.crls)
    read = crls.read

    def read_late(connection, crl_id):
        monkeypatch.setattr(crls, "read", read)
        revoke_one(server, make_csr)
        server.crls.issue("issuing")
        return read(connection, crl_id)

    monkeypatch.setattr(crls, "read", read_late)

    old = x509.load_der_x509_crl(after_a_start.latest("issuing").crl)

    assert old.next_update_utc > server.clock()


def test_all_who_download_it_share_one_copy(server):
    """A thousand slow clients of a CRL of 50 MB must not take 50 GB."""
    server.crls.issue("issuing")

    first, second = (server.crls.latest("issuing") for _ in range(2))

    assert first.crl is second.crl


def test_it_is_served_while_the_database_is_away(server, make_csr, monkeypatch):
    """P8: signing stops, status goes on."""
    server.crls.issue("issuing")
    before = server.crls.latest("issuing")
    csr = make_csr("away.example.test")

    def away():
        raise StorageUnavailable("the line is cut")

    for deed in ("reading", "transaction"):
        monkeypatch.setattr(server.database, deed, away)

    assert before == server.crls.latest("issuing")
    with pytest.raises(StorageUnavailable):
        server.enroll(EnrollmentRequest(csr, Requester("t", "operator"), "device", "cli"))


def test_whoever_is_overtaken_by_a_later_number_signs_anew(server, monkeypatch):
    """A signing agent takes numbers only as they grow: the loser of a race takes the next one."""
    before = server.crls.issue("issuing")[0].number
    sign = signing.sign_pieces

    def overtaken(*_words):
        monkeypatch.setattr(signing, "sign_pieces", sign)
        server.crls.issue("issuing")
        raise RequestRejected("the CRL number does not grow")

    monkeypatch.setattr(signing, "sign_pieces", overtaken)

    issued = server.crls.issue("issuing")

    assert [before + 3] == [record.number for record in issued]
    with server.database.reading() as connection:
        assert [] == crls.open_intents(connection)


def test_whoever_is_refused_for_another_reason_hears_it(server, monkeypatch):
    """The same words again would not help."""

    def refuse(*_words):
        raise RequestRejected("nextUpdate is too far away")

    monkeypatch.setattr(signing, "sign_pieces", refuse)

    with pytest.raises(RequestRejected, match="too far"):
        server.crls.issue("issuing")


class TestNoRoom:
    """The disk for scratch files is full or away."""

    @pytest.fixture(autouse=True)
    def full(self, server, make_csr, monkeypatch, tmp_path):
        revoke_one(server, make_csr)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "away"))

    def test_it_is_told_as_what_it_is(self, server):
        with pytest.raises(StorageUnavailable, match="no room"):
            server.crls.issue("issuing")
        with server.database.reading() as connection:
            assert [] == crls.open_intents(connection)

    def test_the_others_go_on(self, server, monkeypatch):
        """P8: one authority that cannot sign does not keep others, or the start, from it."""
        assert [] == server.crls.issue_due()

        monkeypatch.undo()
        assert server.crls.issue_due()
