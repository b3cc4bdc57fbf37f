"""Templates of pairs: what they say of each other, and what is found out when they are saved."""

import pytest

from pikaserver.api.errors import RequestRejected
from pikaserver.authority.templates.starters import starter
from tests.road.pair_ground import asked, document, first_csr, prepare, second_csr, signings


@pytest.fixture(scope="module", autouse=True)
def paired(server):
    prepare(server)


def refused(server, request, second, why):
    """Nothing is signed, neither the first nor the second."""
    before = signings(server)
    with pytest.raises(RequestRejected, match=why):
        server.pairs.enroll(request, second)
    assert before == signings(server)


def test_templates_decide_who_may_pair(server):
    """No pair, no binding, another first template, a closed one, another door."""
    csr, second = first_csr(), second_csr()
    refused(server, asked(csr, "device"), second, r"no template for a second.*related\.pair")

    for text, why in (
        (document(mode="refused"), "binds no certificates to others"),
        (document().replace("templates = []", 'templates = ["web"]'), "are not paired with"),
        (document().replace("enabled = true", "enabled = false", 1), "is disabled"),
        (document().replace('"cli"', '"scep"'), "does not issue by cli"),
    ):
        server.templates.save("quantum", text, "test")
        refused(server, asked(csr), second, why)
    server.templates.save("quantum", document(), "test")


def test_a_pair_template_is_checked_when_it_is_saved(server):
    """The other template is there, and binds its certificates to this one's."""
    for more, why in (
        ('pair = "nowhere"', "no template 'nowhere'"),
        ('pair = "device"', "'device' binds no certificates"),
        ('pair = "named"', "does not name 'wrong'"),
    ):
        text = document().replace("templates = []", 'templates = ["paired"]')
        server.templates.save("named", text, "test")
        with pytest.raises(RequestRejected, match=why):
            server.templates.save("wrong", document(more, mode="refused"), "test")
    with pytest.raises(RequestRejected, match="not a pair's first"):
        server.templates.save("wrong", document('pair = "wrong"', mode="required"), "test")
    ca = starter("subca") + '\n[related]\npair = "quantum"\n'
    with pytest.raises(RequestRejected, match="end entities"):
        server.templates.save("wrong", ca, "test")
    server.templates.save("self", document('pair = "self"'), "test")
    pair = server.pairs.enroll(asked(first_csr(), "self"), second_csr())
    assert pair.second.record.template == pair.first.record.template
