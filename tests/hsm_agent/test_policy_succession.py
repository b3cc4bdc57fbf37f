"""A root gets a new key: the certificates between both bear its own name."""

import pytest

from hsm_agent.policy.verdicts import Approval, Denied, NeedsApproval
from tests.hsm_agent.asked_agent import Agent
from tests.hsm_agent.made_structures import CA_NAME, DAY, NOW, ca, rules

BLOB = "uh5n4CqeYxqVtJxCcM5Tr1H3Vv2vLJmXyC0tV3d2c1A="
TWO = f"approval = {{ need = 2, of = ['a', 'local'] }}\n[approvers.a]\ned25519 = '{BLOB}'\n"
NARROW = (
    "[profiles.issuing.ca-cert]\napproval = 'none'\nmax-validity = '1y'\nmax-path-length = 0\n"
    "name-constraints = ['dns:example.com']\n"
)


def crossed(**changes):
    """Return the TBSCertificate of the next key under the root's own name."""
    return ca(**{"subject": CA_NAME, **changes})


def test_a_cross_certificate_lives_as_long_as_a_root():
    """The starter lets authorities below live ten years, and the root's other key twenty."""
    agent = Agent(
        rules(["self-signed", "ca-cert"], "[profiles.issuing.ca-cert]\nmax-validity='1y'")
    )

    assert isinstance(agent.ask(crossed()), NeedsApproval)
    assert "longer than max-validity" in agent.ask(ca()).why


def test_who_approves_is_told_what_it_is():
    """Whoever holds the next key speaks as the root itself."""
    told = Agent(profile="root").ask(crossed()).facts

    assert ("ca-cert", CA_NAME.rfc4514_string()) == (told["kind"], told["subject"])
    assert "another key gets the name" in told["succession"]
    assert "succession" not in Agent(profile="root").ask(ca()).facts


@pytest.mark.parametrize("table", ["ca-cert", "self-signed"])
def test_the_stricter_of_both_approvals_counts(table):
    """Neither rule is a way round the other."""
    agent = Agent(rules(["self-signed", "ca-cert"], f"[profiles.issuing.{table}]\n{TWO}"))

    assert Approval(2, ("a", "local")) == agent.ask(crossed()).threshold


def test_without_any_approval_the_narrower_rules_count():
    """Certificates for itself give nobody anything; those for another key do."""
    body = f"{NARROW}[profiles.issuing.self-signed]\napproval = 'none'\n"
    agent = Agent(rules(["self-signed", "ca-cert"], body))

    verdict = agent.ask(crossed(not_after=NOW + 300 * DAY))

    assert isinstance(verdict, Denied)
    assert "path length is open" in verdict.why


def test_a_key_that_signs_none_for_itself_has_no_succession():
    """Then it is a CA certificate like any other."""
    verdict = Agent(rules(["ca-cert"], NARROW)).ask(crossed(not_after=NOW + 300 * DAY))

    assert "path length is open" in verdict.why


def test_the_first_certificate_of_a_key_for_itself_excuses_nothing():
    """Only what is over the key itself is signed without approval."""
    agent = Agent(profile="root", issuer=None)

    assert "no certificate yet" in agent.ask(crossed()).why
