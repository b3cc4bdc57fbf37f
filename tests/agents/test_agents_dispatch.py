"""Signatures: who is asked, what the answers mean, and what happens when it gets crowded."""

import pytest

from hsm_agent.wire.messages import Refused, Sign
from hsm_agent.wire.refusals import REFUSALS
from pikaserver.api.errors import (
    Conflict,
    KeyUnavailable,
    RequestRejected,
    SignaturePending,
)
from pikaserver.api.signing import ContentSigner
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import verify
from pikaserver.signing.sign import sign_tbs
from pikaserver_agents.dispatch import LARGEST_TBS

ISSUING = "soft/issuing"


@pytest.mark.parametrize(
    ("key_type", "algorithm"),
    [
        ("ec-p256", "ecdsa-sha256"),
        ("ec-p384", "ecdsa-sha384"),
        ("rsa-2048", "rsa-sha256"),
        ("rsa-2048", "rsa-pss-sha256"),
        ("ed25519", "ed25519"),
        ("ml-dsa-65", "ml-dsa-65"),
    ],
)
def test_an_agents_key_signs_like_any_other(site, certificate_tbs, key_type, algorithm):
    """The whole structure goes to the agent; what comes back verifies."""
    agent = site.agent(connect=False)
    key = agent.desk.make_key("issuing", key_type)
    site.connect(agent)

    signature = sign_tbs(site.signer(algorithm=algorithm), certificate_tbs, key.public_key)

    verify(key.public_key, algorithm, signature, certificate_tbs)
    (request,) = agent.asked_to_sign
    assert (certificate_tbs, algorithm) == (request.tbs, request.algorithm)
    assert "certificate" == request.context.purpose
    assert [("vault-a", "certificate", "signed")] == site.history()


def test_signed_attributes_come_with_what_they_stand_for(site):
    """RFC 5652: the agent sees the content, too."""
    agent = site.agent("vault-a", "issuing")
    attributes, signer = der.set_of(der.integer(1)), site.signer()
    assert isinstance(signer, ContentSigner)

    signer.sign_attributes(attributes, b"content")

    (request,) = agent.asked_to_sign
    assert (attributes, b"content") == (request.tbs, request.content)
    assert [("vault-a", "attributes", "signed")] == site.history()


def test_structures_of_many_megabytes_are_signed(make):
    """CRLs with hundreds of thousands of entries fit one frame; what does not is refused."""
    site = make(heartbeat=500, dead=20_000)  # a busy machine reads so much slowly
    agent = site.agent("vault-a", "issuing")
    tbs = der.sequence(bytes(10 * 1024 * 1024))

    signature = site.signer().sign(tbs)

    verify(agent.desk.keys[ISSUING].public_key, "ecdsa-sha256", signature, tbs)
    with pytest.raises(RequestRejected, match="too many for one frame"):
        site.signer().sign(bytes(LARGEST_TBS + 1))


@pytest.mark.parametrize("code", [code for code in REFUSALS if code != "approval-needed"])
def test_refusals_keep_their_meaning(site, certificate_tbs, code):
    """What a rule refused is final; everything else may be asked again."""
    agent = site.agent("vault-a", "issuing")
    agent.tamper = agent.refusing(code, after=60_000)
    final = {"exists": Conflict}.get(code, RequestRejected)

    with pytest.raises(KeyUnavailable if REFUSALS[code] else final, match=r"vault-a.*because"):
        site.signer().sign(certificate_tbs)

    assert ("vault-a", "certificate", code) in site.history()
    assert 1 == len(agent.asked_to_sign)
    assert {("vault-a", code): 1} == site.office.figures.read().refusals


def test_a_refusal_by_rule_is_not_taken_to_another_agent(site, certificate_tbs):
    """It would be a way to look for the weakest policy."""
    first, second = site.pair()
    first.tamper = first.refusing("policy")

    with pytest.raises(RequestRejected, match="vault-a refuses it"):
        site.signer().sign(certificate_tbs)

    assert [] == second.asked_to_sign


def test_a_token_that_failed_is_no_end_while_another_agent_has_the_key(site, certificate_tbs):
    """The same octets go to the next one."""
    first, second = site.pair()
    first.tamper = first.refusing("token-error")

    site.signer().sign(certificate_tbs)

    assert first.asked_to_sign[0].tbs == second.asked_to_sign[0].tbs
    assert first.asked_to_sign[0].id != second.asked_to_sign[0].id
    assert 1 == site.office.figures.read().failovers


def test_an_agent_that_is_busy_is_asked_again(site, certificate_tbs):
    """It says when."""
    agent = site.agent("vault-a", "issuing")
    agent.tamper = agent.refusing("busy", after=60, times=2)

    site.signer().sign(certificate_tbs)

    assert 3 == len(agent.asked_to_sign)


def test_octets_that_wait_for_approval_are_found_again(site, certificate_tbs):
    """The asker learns the hash; the same octets asked again get their signature."""
    agent = site.agent("vault-a", "issuing")
    agent.desk.needs_approval = lambda _: True

    with pytest.raises(SignaturePending, match="one person has to agree") as pending:
        site.signer().sign(certificate_tbs)

    approval = pending.value.approval
    assert [approval] == [*site.office.directory.refresh().approvals]
    agent.desk.approved.add(approval)
    site.signer().sign(certificate_tbs)
    assert {} == site.office.directory.refresh().approvals


def test_approvals_gather_at_one_agent(make, certificate_tbs):
    """What waits at one is asked there again, even where agents share the work."""
    site = make(several="shared")
    first, second = site.pair()
    for agent in (first, second):
        agent.desk.needs_approval = lambda _: True
    for _ in range(4):
        with pytest.raises(SignaturePending):
            site.signer().sign(certificate_tbs)

    assert {0, 4} == {len(first.asked_to_sign), len(second.asked_to_sign)}


def test_the_named_agent_signs_and_others_stand_by(site, certificate_tbs):
    """Unless the settings say that they share."""
    first, second = site.pair()

    for _ in range(3):
        site.signer("agent:vault-b/issuing").sign(certificate_tbs)

    assert (0, 3) == (len(first.asked_to_sign), len(second.asked_to_sign))


def test_refusals_name_the_codes_of_the_protocol(site, certificate_tbs):
    """A code that is not known yet means what its ``retry`` says."""
    agent = site.agent("vault-a", "issuing")

    def novel(request, answer):
        if not isinstance(request, Sign):
            return answer
        fields = {"code": "novel", "why": b"\xff\x1b[2J", "retry": False, "after": 0}
        return Refused(request.id, answer.request, journal=answer.journal, **fields)

    agent.tamper = novel

    with pytest.raises(RequestRejected) as refused:
        site.signer().sign(certificate_tbs)

    assert str(refused.value).isprintable()
