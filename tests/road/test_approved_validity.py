"""Another validity with a yes: every template of the request is asked before the yes counts."""

from datetime import timedelta

import pytest

from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import RequestState
from pikaserver.storage import audit
from tests.road.pair_ground import asked, document, first_csr, second_csr

FREE, FIXED = "overridable = true", "overridable = false"
DAYS = timedelta(days=3)


@pytest.fixture(autouse=True)
def templates(server):
    """``loose`` lets choose, ``fixed`` does not; pairs wait, with either as the second one."""
    assert FREE in document()
    server.templates.save("loose", document(), "test")
    server.templates.save("fixed", fix(document()), "test")
    server.templates.save("half-fixed", document('pair = "fixed"', approval=True), "test")
    server.templates.save("free", document('pair = "loose"', approval=True), "test")
    server.templates.save("all-fixed", fix(document(approval=True)), "test")


def fix(text):
    """Let a template issue for 30 days only."""
    lines = ('period = "30d"' if one.startswith("period =") else one for one in text.splitlines())
    kept = (one for one in lines if not one.startswith("maximum ="))
    return "\n".join(kept).replace(FREE, FIXED)


def stored(server, template, *, pair):
    request = asked(first_csr(), template)
    waiting = server.pairs.enroll(request, second_csr()) if pair else server.enroll(request)
    return waiting.request_id


@pytest.mark.parametrize(
    ("template", "pair", "why"),
    [
        ("half-fixed", True, "template 'fixed' fixes the validity: 30d"),
        ("all-fixed", False, "template 'all-fixed' fixes the validity: 30d"),
    ],
)
def test_a_yes_that_a_template_does_not_allow_is_none(server, template, pair, why):
    """The request waits as before, the trail has no yes, and another yes brings all of it."""
    number = stored(server, template, pair=pair)

    with pytest.raises(RequestRejected, match=why):
        server.requests.decide(number, "officer", approve=True, validity=DAYS)

    waiting = server.requests.get(number)
    assert (RequestState.PENDING, None) == (waiting.state, waiting.decided_by)
    with server.database.reading() as connection:
        lines = audit.read(connection, audit.TrailQuery(event="request.approved"))
        assert number not in [line.fields["request"] for line in lines]
    server.requests.decide(number, "officer", approve=True)
    assert (2 if pair else 1) == len(server.issue_approved(number))


@pytest.mark.parametrize("pair", [True, False])
def test_more_than_a_template_allows_is_refused_with_what_it_allows(server, pair):
    """For single requests and pairs alike."""
    number = stored(server, "free", pair=pair)

    with pytest.raises(RequestRejected, match="template 'free' allows a validity of at most"):
        server.requests.decide(number, "officer", approve=True, validity=timedelta(days=9000))

    assert RequestState.PENDING is server.requests.get(number).state


@pytest.mark.parametrize("validity", [timedelta(0), timedelta(days=-1)])
def test_a_validity_of_nothing_is_refused_as_that(server, validity):
    """The template's longest one would be no help to whoever asks for none."""
    number = stored(server, "free", pair=False)

    with pytest.raises(RequestRejected, match="has to be valid for some time"):
        server.requests.decide(number, "officer", approve=True, validity=validity)

    assert RequestState.PENDING is server.requests.get(number).state


def test_the_versions_that_would_be_signed_are_asked(server):
    """A newer version, which fixes its validity, says nothing of a request that is older."""
    number = stored(server, "free", pair=True)
    server.templates.save("loose", fix(document()), "test")

    server.requests.decide(number, "officer", approve=True, validity=DAYS)

    for one in server.issue_approved(number):
        assert server.clock() + DAYS - timedelta(seconds=1) == one.record.not_after
