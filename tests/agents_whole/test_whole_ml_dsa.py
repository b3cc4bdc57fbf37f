"""ML-DSA authorities behind an agent, whose software store knows it; openssl 3.5 is the judge."""

import pytest

from pikaserver.testing.openssl import require_ml_dsa_openssl
from tests.agents_whole.deeds import approved, leaf, new_key
from tests.agents_whole.judging import Judge


@pytest.fixture
def judge(tmp_path):
    return Judge(tmp_path, require_ml_dsa_openssl())


@pytest.fixture(scope="module")
def trial(house):
    """Give an agent whose keys are files."""
    return house.agent("vault-s")


@pytest.mark.parametrize("key_type", ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])
def test_a_hierarchy_of_ml_dsa_signs_leaves_and_crls(house, trial, judge, key_type):
    """All of it by the trial store, under a root of the same kind."""
    root, sub = f"root-{key_type}", f"sub-{key_type}"

    house("ca", "create", root, *new_key(root, key_type, "vault-s"))
    approved(
        house, trial, "ca", "create", sub, "--parent", root, *new_key(sub, key_type, "vault-s")
    )
    _, serial, pem = leaf(house, judge, sub)
    house("cert", "revoke", serial, "--yes")
    house("crl", "generate", sub)

    assert judge.trusts(house.pem(root), pem, house.pem(sub))
    crl = house("crl", "export", sub).text
    assert judge.trusts_crl(crl, house.pem(sub))
    asked = ("-crl_check", "-CRLfile", judge.file("list.pem", crl))
    assert "certificate revoked" in judge.verdict(
        house.pem(root), pem, house.pem(sub), options=asked
    )


def test_everybody_is_told_that_these_keys_are_for_trials(house, trial):
    """At the agent and at the server; what is a file is no token."""
    house("ca", "create", "told", "--parent", "root", *new_key("told", "ml-dsa-44", "vault-s"))

    (at_server,) = [one for one in house.json("agent", "keys", "vault-s") if "told" in one["key"]]

    assert at_server["trial"]
    assert {True} == {one["trial"] for one in trial.json("keys")}
