"""Pairs that wait for a person: one request, one yes, both certificates."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pikaserver.api.certificates import CertificateQuery, Revocation, RevocationReason
from pikaserver.api.errors import Conflict, KeyUnavailable, NotAuthenticated, RequestRejected
from pikaserver.api.issuance import Pending, Requester, RequestState
from pikaserver.asn1.certificate import with_dummy_signature
from pikaserver.testing.key_away import key_away
from tests.road.pair_ground import asked, document, first_csr, prepare, second_csr, signings


@pytest.fixture(scope="module", autouse=True)
def paired(server):
    """Templates where the first, or only the second, waits."""
    prepare(server)
    server.templates.save("patient", document('pair = "quantum"', approval=True), "test")
    server.templates.save("slow", document(approval=True), "test")
    server.templates.save("quick", document('pair = "slow"'), "test")


@pytest.mark.parametrize("template", ["patient", "quick"])
def test_a_pair_waits_where_either_template_asks_for_a_person(server, template):
    """Asking again finds the same request; after the yes it brings both."""
    request, second = asked(first_csr(), template), second_csr()
    waiting, again = (server.pairs.enroll(request, second) for _ in range(2))
    before = signings(server)

    server.requests.decide(waiting.request_id, "officer", approve=True)
    pair, same = (server.pairs.enroll(request, second) for _ in range(2))

    assert isinstance(waiting, Pending)
    assert waiting.request_id == again.request_id
    assert second.der == server.requests.get(waiting.request_id).second_csr
    assert pair.second.record.id == same.second.record.id
    assert before + 2 == signings(server)
    assert [pair.second.record.id] == [one.id for one in server.pairs.of(pair.first.record)]
    assert RequestState.ISSUED is server.requests.get(waiting.request_id).state


def test_the_yes_alone_issues_both(server):
    """With the validity that the officer chose, by the versions that were approved."""
    number = server.pairs.enroll(asked(first_csr(), "patient"), second_csr()).request_id
    strict = document().replace("types = [", 'types = ["rsa-2048"] #')
    server.templates.save("quantum", strict, "test")
    days = timedelta(days=3)
    server.requests.decide(number, "officer", approve=True, validity=days)
    with pytest.raises(Conflict, match="a pair"):
        server.enrollment.issue_approved(number)

    for one in server.issue_approved(number):
        left = one.record.not_after - server.clock()
        assert days > left > days - timedelta(minutes=1)
    server.templates.save("quantum", document(), "test")


def test_a_declined_pair_is_declined_for_both(server):
    """The reason is told, and nothing is signed; each half alone is another wish."""
    request, second = asked(first_csr(), "patient"), second_csr()
    number = server.pairs.enroll(request, second).request_id
    server.requests.decide(number, "officer", approve=False, comment="not this one")
    before = signings(server)

    with pytest.raises(RequestRejected, match="not this one"):
        server.pairs.enroll(request, second)
    with pytest.raises(Conflict):
        server.issue_approved(number)

    assert before == signings(server)
    assert isinstance(server.enroll(request), Pending)


def test_a_code_is_spent_when_the_pair_is_stored(server):
    """Once; the yes asks for no other."""
    code = server.codes.create("patient", "test")
    proof = server.codes.find(code.user).proof
    owner = Requester(code.user, "code", templates=frozenset({"patient"}), proof=proof)
    request, second = asked(first_csr(), "patient", requester=owner), second_csr()
    number = server.pairs.enroll(request, second).request_id

    with pytest.raises(NotAuthenticated):
        server.pairs.enroll(replace(request, csr=first_csr()), second_csr())
    server.requests.decide(number, "officer", approve=True)

    assert 2 == len(server.issue_approved(number))


def test_a_second_that_failed_after_the_yes_follows(server):
    """By asking, or by the operator's command; its first certificate stays the same."""
    request, second = asked(first_csr(), "patient"), second_csr()
    number = server.pairs.enroll(request, second).request_id
    server.requests.decide(number, "officer", approve=True)
    with key_away(at=2), pytest.raises(KeyUnavailable):
        server.issue_approved(number)
    first = server.requests.get(number).certificate_id

    done = server.issue_approved(number)

    assert first == done[0].record.id
    assert server.pairs.enroll(request, second).second.record.id == done[1].record.id


def test_nothing_is_bound_to_a_first_that_was_revoked_meanwhile(server, clock):
    """The second failed, the operator revoked the first: the wish is a new one."""
    request, second = asked(first_csr()), second_csr()
    with key_away(at=2) as calls, pytest.raises(KeyUnavailable):
        server.pairs.enroll(replace(request, transaction="t-1"), second)
    (issued,) = _valid(server, calls)
    server.revoke(issued, Revocation(clock(), RevocationReason.SUPERSEDED), "test")

    with pytest.raises(RequestRejected, match="is revoked"):
        server.pairs.enroll(replace(request, transaction="t-1"), second)
    assert server.pairs.enroll(request, second).first.record.id != issued.id


def _valid(server, calls):
    serial = with_dummy_signature(calls[0][1], "ecdsa-sha256").serial_number
    return server.certificates.find(CertificateQuery(serial=serial))


def test_a_plugin_asks_for_pairs_and_for_no_more(server):
    """The operator's own ways stay with the host."""
    pairs = server.for_plugins.pairs

    assert {"of", "enroll"} == {name for name in dir(pairs) if not name.startswith("_")}
    assert pairs.enroll(asked(first_csr()), second_csr()).second is not None


def test_a_retired_device_gets_no_half(server):
    """Also where the second template would call it otherwise."""
    request = asked(first_csr("plc-77"))
    server.pairs.enroll(request, second_csr("plc-77"))
    server.devices.retire(server.devices.named("plc-77"), "test", RevocationReason.SUPERSEDED)
    before = signings(server)

    with pytest.raises(RequestRejected, match="retired"):
        server.pairs.enroll(asked(first_csr("plc-77")), second_csr("plc-77"))

    assert before == signings(server)
