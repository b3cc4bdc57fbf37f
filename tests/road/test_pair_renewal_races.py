"""Renewals of pairs that revoke the old certificate: one wins, the others leave nothing valid."""

from contextlib import suppress

import pytest

from pikaserver.api.certificates import CertificateQuery, CertificateStatus, RevocationReason
from pikaserver.api.errors import Conflict
from pikaserver.api.issuance import Requester
from pikaserver.authority.granting import Granting
from pikaserver.authority.pair_wishes import PairWishes
from tests.road.pair_ground import asked, document, first_csr, second_csr

NAMES = (f"racer-{number}" for number in range(1000))


@pytest.fixture(scope="module", autouse=True)
def paired(server):
    """Let the renewal of a pair's first certificate revoke the old one."""
    server.templates.save("quantum", document(), "test")
    text = document('pair = "quantum"', mode="refused")
    assert "revoke-old = false" in text
    server.templates.save("paired", text.replace("revoke-old = false", "revoke-old = true"), "test")


@pytest.fixture
def name():
    return next(NAMES)


@pytest.fixture
def old(server, name):
    return server.enroll(asked(first_csr(name))).record


@pytest.fixture
def renew(server, name, old):
    """Renew the old certificate, as a pair or alone, by new keys."""
    holder = Requester(f"certificate:{old.subject}", "certificate", certificate=old)

    def ask(*, alone=False, csrs=None):
        first, second = csrs or (first_csr(name), second_csr(name))
        request = asked(first, requester=holder)
        return server.enroll(request) if alone else server.pairs.enroll(request, second)

    return ask


def states(server, name, template):
    found = server.certificates.find(CertificateQuery(subject=name, template=template))
    return [one.status for one in found]


@pytest.mark.parametrize("alone", [True, False])
def test_a_pair_that_comes_too_late_leaves_no_valid_half(
    server, name, old, renew, monkeypatch, alone
):
    """Another renewal ends between its first and its second certificate: its first is revoked."""
    real, won = PairWishes.bound_draft, []

    def bound_draft(*args):
        monkeypatch.setattr(PairWishes, "bound_draft", real)
        won.append(renew(alone=alone))
        return real(*args)

    monkeypatch.setattr(PairWishes, "bound_draft", bound_draft)

    with pytest.raises(Conflict, match="is revoked already"):
        renew()

    valid, revoked = CertificateStatus.VALID, CertificateStatus.REVOKED
    winner = won[0].record if alone else won[0].first.record
    assert [valid, revoked, revoked] == states(server, name, "paired")
    assert valid is server.certificates.get(winner.id).status
    assert ([] if alone else [valid]) == states(server, name, "quantum")
    late = server.certificates.find(CertificateQuery(subject=name, template="paired"))[1]
    assert late.id not in (winner.id, old.id)
    assert RevocationReason.SUPERSEDED is late.revocation.reason


def test_another_conflict_takes_nothing_back(server, name, old, renew, monkeypatch):
    """The old certificate is valid: the same request brings the second one later."""
    real, csrs, drafts = Granting.grant, (first_csr(name), second_csr(name)), []

    def grant(self, draft, *rest):
        drafts.append(draft)
        if len(drafts) > 1:
            raise Conflict("the intent is gone")
        return real(self, draft, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(Granting, "grant", grant)
        with suppress(Conflict):
            renew(csrs=csrs)
    half = states(server, name, "paired")

    pair = renew(csrs=csrs)

    assert 2 == len(drafts)
    assert [CertificateStatus.VALID] * 2 == half
    assert CertificateStatus.VALID is server.certificates.get(pair.first.record.id).status
    assert CertificateStatus.REVOKED is server.certificates.get(old.id).status
