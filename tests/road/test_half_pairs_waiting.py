"""Half a pair whose template asks for a person by now: the second certificate waits for a yes."""

import itertools
from dataclasses import replace

import pytest

from pikaserver.api.certificates import CertificateQuery, Revocation, RevocationReason
from pikaserver.api.errors import Conflict, KeyUnavailable, RequestRejected, Unavailable
from pikaserver.api.issuance import Pending, Requester, RequestState
from pikaserver.asn1.certificate import read_certificate
from pikaserver.asn1.related_certificates import related_hash
from pikaserver.authority.pair_wishes import PairWishes
from pikaserver.authority.requests import key_hash
from pikaserver.testing.key_away import key_away
from tests.road.pair_ground import asked, document, first_csr, prepare, second_csr, signings

NAMES = (f"half-{number}" for number in itertools.count())


@pytest.fixture(autouse=True)
def paired(server):
    """Let nobody be asked at first."""
    prepare(server)


@pytest.fixture
def wish():
    """Return both requests of a holder of its own."""
    name = next(NAMES)
    return asked(first_csr(name)), second_csr(name)


@pytest.fixture
def half(server):
    """Issue the first certificate alone; return it."""

    def issue(ask, request):
        with key_away(at=2), pytest.raises(KeyUnavailable):
            ask()
        query = CertificateQuery(key_hash=key_hash(request.csr.public_key))
        (record,) = server.certificates.find(query)
        return record

    return issue


def want_a_person(server, template):
    more = 'pair = "quantum"' if template == "paired" else ""
    server.templates.save(template, document(more, approval=True), "test")


@pytest.mark.parametrize("template", ["paired", "quantum"])
def test_the_second_waits_where_a_template_asks_for_a_person_by_now(server, wish, half, template):
    """Whichever template it is; asking again finds the same request, and signs nothing."""
    record = half(lambda: server.pairs.enroll(*wish), wish[0])
    want_a_person(server, template)
    before = signings(server)

    waiting, again = (server.pairs.enroll(*wish) for _ in range(2))

    assert isinstance(waiting, Pending)
    assert waiting.request_id == again.request_id
    assert before == signings(server)
    stored = server.requests.get(waiting.request_id)
    assert (RequestState.PENDING, wish[1].der) == (stored.state, stored.second_csr)
    assert record == server.certificates.get(record.id)


@pytest.mark.parametrize("by_asking", [True, False])
def test_the_yes_brings_the_second_for_the_first_that_is_there(server, wish, half, by_asking):
    """One signature, by the requester's asking or by the operator's command; then it is used up."""
    record = half(lambda: server.pairs.enroll(*wish), wish[0])
    want_a_person(server, "paired")
    number = server.pairs.enroll(*wish).request_id
    before = signings(server)
    server.requests.decide(number, "officer", approve=True)

    if not by_asking:
        server.issue_approved(number)
    pair, again = (server.pairs.enroll(*wish) for _ in range(2))

    assert before + 1 == signings(server)
    assert record.id == pair.first.record.id
    assert related_hash(read_certificate(pair.second.certificate)).fits(pair.first.certificate)
    assert pair.second.record.id == again.second.record.id
    stored = server.requests.get(number)
    assert (RequestState.ISSUED, record.id) == (stored.state, stored.certificate_id)
    assert 2 == len(server.issue_approved(number))
    assert before + 1 == signings(server)


def test_a_no_leaves_the_first_as_it_is(server, wish, half):
    """The reason is told whenever the same is asked, and there is no second."""
    record = half(lambda: server.pairs.enroll(*wish), wish[0])
    want_a_person(server, "paired")
    number = server.pairs.enroll(*wish).request_id
    server.requests.decide(number, "officer", approve=False, comment="no second one")

    with pytest.raises(RequestRejected, match="no second one"):
        server.pairs.enroll(*wish)
    with pytest.raises(Conflict):
        server.issue_approved(number)

    assert record == server.certificates.get(record.id)
    assert not server.pairs.of(record)


def test_who_was_approved_before_is_not_asked_for_again(server, wish, half):
    """The yes was for both: the second follows, though the template has a new version."""
    want_a_person(server, "paired")
    number = server.pairs.enroll(*wish).request_id
    server.requests.decide(number, "officer", approve=True)
    record = half(lambda: server.issue_approved(number), wish[0])
    want_a_person(server, "quantum")

    pair = server.pairs.enroll(*wish)

    assert record.id == pair.first.record.id
    assert [number] == [one.id for one in server.requests.list() if one.second_csr == wish[1].der]


def test_a_code_that_is_spent_is_not_asked_for_again(server, wish, half):
    """It went with the first certificate; to wait costs none."""
    code = server.codes.create("paired", "test")
    proof = server.codes.find(code.user).proof
    owner = Requester(code.user, "code", templates=frozenset({"paired"}), proof=proof)
    request = replace(wish[0], requester=owner)
    record = half(lambda: server.pairs.enroll(request, wish[1]), request)
    want_a_person(server, "paired")

    number = server.pairs.enroll(request, wish[1]).request_id
    server.requests.decide(number, "officer", approve=True)

    assert record.id == server.pairs.enroll(request, wish[1]).first.record.id


def test_a_yes_that_could_not_be_used_is_good_for_another_attempt(server, wish, half):
    """The key goes away once more: the approval comes back."""
    half(lambda: server.pairs.enroll(*wish), wish[0])
    want_a_person(server, "paired")
    number = server.pairs.enroll(*wish).request_id
    server.requests.decide(number, "officer", approve=True)

    with key_away(at=1), pytest.raises(KeyUnavailable):
        server.issue_approved(number)

    assert RequestState.APPROVED is server.requests.get(number).state
    assert 2 == len(server.issue_approved(number))
    assert RequestState.ISSUED is server.requests.get(number).state


def test_nothing_waits_for_a_first_that_was_revoked(server, wish, half, clock):
    """No person is asked for what could never be issued."""
    request = replace(wish[0], transaction=f"t-{next(NAMES)}")
    record = half(lambda: server.pairs.enroll(request, wish[1]), request)
    want_a_person(server, "paired")
    server.revoke(record, Revocation(clock(), RevocationReason.SUPERSEDED), "test")
    before = len(server.requests.list())

    with pytest.raises(RequestRejected, match="is revoked"):
        server.pairs.enroll(request, wish[1])

    assert before == len(server.requests.list())


def test_two_who_ask_at_once_make_one_request(server, wish, half, monkeypatch):
    """The later one is told to ask again, and finds the request of the other one."""
    half(lambda: server.pairs.enroll(*wish), wish[0])
    want_a_person(server, "paired")
    real, faster, before = PairWishes.judged, [], len(server.requests.list())

    def judged(*given):
        monkeypatch.setattr(PairWishes, "judged", real)
        outcome = real(*given)
        faster.append(server.pairs.enroll(*wish))
        return outcome

    monkeypatch.setattr(PairWishes, "judged", judged)

    with pytest.raises(Unavailable, match="ask again"):
        server.pairs.enroll(*wish)

    assert before + 1 == len(server.requests.list())
    assert faster[0].request_id == server.pairs.enroll(*wish).request_id
