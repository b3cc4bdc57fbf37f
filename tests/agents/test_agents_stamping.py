"""A time-stamp unit whose key is at an agent: what the agent sees, and what happens without it."""

import base64

import pytest

from hsm_agent.structures.classify import classify
from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.digests import digest
from pikaserver.asn1.signed_data import DATA
from pikaserver.asn1.signed_data_reading import read_signed_data
from pikaserver.asn1.time_stamps import write_request
from pikaserver.first_start import FirstStart, set_up
from pikaserver.ground import items
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.patience import until
from pikaserver_tsa.verifying import read_token, trust_of, verified

CONTENT = b"what is stamped"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A data folder with the plugin for time-stamps; to be copied, never used."""
    data = tmp_path_factory.mktemp("stamping") / "data"
    wishes = FirstStart(
        data=data,
        http="127.0.0.1:0",
        https="127.0.0.1:0",
        agents="127.0.0.1:0",
        hostname="pki.example.test",
        plugins=("agents", "crl", "tsa"),
    )
    set_up(wishes, {})
    return data


@pytest.fixture
def unit(house):
    """An agent with the unit's key, and the door before it."""
    agent = house.agent()
    house("ca", "set", "issuing", "--service", "tsa.key=agent:vault-a/tsa")
    client = ServiceClient(*items(house.server.plugins.services(house.server.for_plugins)))

    def stamp(nonce=1, legacy=None):
        if legacy is not None:
            return client.send("POST", "/tsa", legacy, headers={"Content-Type": "x/y"})
        query = write_request(
            "sha256", digest("sha256", CONTENT), policy=None, nonce=nonce, certificate_wanted=True
        )
        headers = {"Content-Type": "application/timestamp-query"}
        return client.send("POST", "/tsa", query, headers=headers)

    return agent, stamp


def refused(answer):
    assert 200 == answer.status_code
    with pytest.raises(MalformedRequest) as refusal:
        read_token(answer.content)
    return str(refusal.value)


def test_the_agent_sees_what_it_stamps(house, unit):
    """TSTInfo comes with the attributes, so the agent's policy can judge time and policy."""
    agent, stamp = unit

    answer = stamp()

    trust = trust_of(house.server.for_plugins, [])
    assert "good" == verified(lambda name: digest(name, CONTENT), answer.content, trust)["state"]
    asked = agent.asked_to_sign[-1]
    seen = classify(asked.tbs, asked.content)
    token, info = read_token(answer.content)
    assert (info.policy, info.serial, info.at) == (seen.policy, seen.serial, seen.gen_time)
    assert (info.authority, token.content) == (seen.tsa, asked.content)
    assert ("sha256", digest("sha256", CONTENT)) == (seen.hash, seen.imprint)


def test_the_agent_sees_a_legacy_stamp_as_what_it_is(unit):
    """Signed attributes over data, which its policy has to name."""
    agent, stamp = unit

    answer = stamp(legacy=b"MCMGCisGAQQBgjcDAgEwFQYJKoZIhvcNAQcBoAgEBnNlY3JldA==")

    token = read_signed_data(base64.b64decode(answer.content))
    token.verify(token.signer())
    asked = agent.asked_to_sign[-1]
    seen = classify(asked.tbs, asked.content)
    assert (DATA, b"secret") == (seen.content_type, token.content)


def test_a_key_that_is_away_is_a_system_failure_until_it_is_back(house, unit):
    """RFC 3161 section 2.4.2, in words that name the agent; nothing has to be mended by hand."""
    agent, stamp = unit
    first = read_token(stamp().content)[1]
    agent.die()
    until(lambda: not house.office.lines.present())

    away = [refused(stamp()) for _ in range(3)]

    assert all("SYSTEM_FAILURE" in one and "vault-a is away" in one for one in away)
    house.connect(agent)
    again = read_token(stamp(nonce=2).content)[1]
    assert 2 == again.nonce
    assert first.at < again.at
    assert first.serial != again.serial


def test_an_agent_that_refuses_is_told_in_the_protocols_words(unit):
    """Its policy stands above ours."""
    agent, stamp = unit
    stamp()
    agent.tamper = agent.refusing("policy")

    assert "SYSTEM_FAILURE" in refused(stamp())
    agent.tamper = lambda _, answer: answer
    assert read_token(stamp().content)
