"""The first policy of an agent, its warnings, and the reference of all rules."""

import hashlib
import re
import tomllib
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.policy.approvers import KEYS
from hsm_agent.policy.policy import PolicyFault, read_policy
from hsm_agent.policy.provision import ProvisionRules
from hsm_agent.policy.rules import KeyRules
from hsm_agent.policy.starter import starter
from hsm_agent.policy.tables import described
from hsm_agent.policy.verdicts import Approval
from hsm_agent.policy.vocabulary import PURPOSES
from hsm_agent.structures.kinds import KINDS
from pikaserver.authority.templates import starter_documents
from tests.hsm_agent.made_structures import rules

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "agent-policy.md"
PAGE = REFERENCE.read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)[0]


def test_the_example_of_the_reference_is_a_policy():
    """With its two keys, its profile and its two approvers."""
    policy = read_policy(EXAMPLE.encode())

    assert hashlib.sha256(EXAMPLE.encode()).digest() == policy.digest
    assert ["yubikey/82", "hsm/issuing-1"] == [binding.name for binding in policy.keys]
    assert Approval(2, ("alice", "bob", "local")) == policy.keys[0].rules.approval("ca-cert")
    assert ProvisionRules(("issuing",), (), (), 4, Approval(1, ("local",))) == policy.provision
    assert ["ssh", "ed25519"] == [approver.kind for approver in policy.approvers.values()]
    assert () == policy.warnings()


def chapters():
    """Return the table below each heading that is set as code: key and default."""
    pieces = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)[1:]
    return {
        heading.strip("`"): dict(re.findall(r"^\| `([^`]+)` \| (.*?) \|", body, flags=re.MULTILINE))
        for n, (heading, body) in enumerate(pairwise(pieces))
        if n % 2 == 0
    }


TABLES = {
    "[profiles.NAME]": described(KeyRules()),
    **{f"[profiles.NAME.{kind}]": described(KeyRules().of(kind)) for kind in KINDS},
    "[provision]": described(ProvisionRules()),
}


@pytest.mark.parametrize("heading", TABLES)
def test_every_rule_is_described_with_its_default(heading):
    """Numbers, durations and switches are compared; lists are told in words."""
    rows = chapters()[heading]
    keys = TABLES[heading]
    if heading.endswith(".self-signed]"):
        rows = {**chapters()["[profiles.NAME.ca-cert]"], **rows}
        del rows["not-after-issuer"]

    assert {*keys} == {*rows}
    for key, default in keys.items():
        written = rows[key].strip("`")
        if isinstance(default, bool):
            assert str(default).lower() == written
        elif isinstance(default, timedelta):
            assert default == timedelta(**{UNITS[written[-1]]: int(written[:-1])})
        elif isinstance(default, int):
            assert str(default) == written
        elif key.startswith("per-"):
            assert "no limit" == written
        elif key == "approval":
            assert ("local" if default else "none") == written


UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def test_kinds_keys_and_approvers_are_described():
    """The rest of the file's tables."""
    found = chapters()

    assert [*KINDS] == [*found["Kinds"]]
    assert {"spki", "profile", "certificate"} == {*found['[keys."STORE/LABEL"]']}
    assert {*KEYS} == {*found["[approvers.NAME]"]}


def test_the_starter_works_at_once_and_warns_until_names_are_said():
    """Everything is allowed to be named, and the operator is told so."""
    policy = read_policy(starter("vault-a").encode())

    assert ("issuing", "root", "service") == policy.provision.profiles
    assert policy.provision.approval is None
    assert any("nothing restricts these names" in one for one in policy.warnings())
    assert timedelta(days=825) == policy.profiles["issuing"].cert.lifetime.max_validity
    assert Approval(1, ("local",)) == policy.profiles["root"].approval("ca-cert")


TEMPLATES = Path(starter_documents.__file__).parent
OTHERS = ("subca", "key-establishment")
"""A root's policy signs the one; the other has no purposes, which a policy allows by name."""


@pytest.mark.parametrize(
    "template", sorted(path.stem for path in TEMPLATES.glob("*.toml") if path.stem not in OTHERS)
)
def test_the_starter_is_wide_enough_for_the_templates_of_the_server(template):
    """Their usages and purposes, and the keys that they certify."""
    document = tomllib.loads((TEMPLATES / f"{template}.toml").read_text(encoding="utf-8"))
    contents = read_policy(starter("x").encode()).profiles["issuing"].cert.contents

    wanted = {PURPOSES[name] for name in document["usage"]["extended-key-usage"]}
    assert wanted <= {*contents.extended_key_usage}
    assert {*document["usage"]["key-usage"]} <= {*contents.key_usage}
    for name in document["key"]["types"]:
        assert any(kind.meets(name) for kind in contents.subject_keys)


def test_the_starter_takes_names():
    """Then only those are allowed, and no warning is left about names."""
    text = starter("x", dns=["example.com"], email=["example.com"], ip=["10.0.0.0/8"])
    names = read_policy(text.encode()).profiles["issuing"].cert.names

    assert (("example.com",), ("example.com",), ()) == (
        names.dns.bases,
        names.email.entries,
        names.uri.entries,
    )
    assert not any("names" in one for one in read_policy(text.encode()).warnings())


@given(st.text(max_size=30))
def test_the_starter_holds_whatever_the_agent_is_called(name):
    """A name cannot end the comment that it stands in, nor a text its quotes."""
    read_policy(starter(name).encode())
    try:
        read = read_policy(starter("a", uri=[name]).encode())
    except PolicyFault:
        return

    assert len(read.profiles["issuing"].cert.names.uri.entries) <= 1


def test_lines_of_the_starter_fit_a_terminal():
    """It is edited by people."""
    assert max(map(len, starter("vault-a").splitlines())) <= 100
    assert max(map(len, starter("vault-a", dns=["example.com"]).splitlines())) <= 100


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (rules(["raw"]), "signs whatever it is given"),
        (rules(["ca-cert"], "ca-cert.approval = 'none'"), "CA certificates need no approval"),
        (rules(["self-signed"], "self-signed.approval = 'none'"), "need no approval"),
        (rules(["crl"], "crl.never-drop = false"), "can be taken off the CRL"),
        (rules(["cert"], "cert.extended-key-usage = ['*']"), "any purpose"),
        (rules(["cert"], "cert.extended-key-usage = ['anyExtendedKeyUsage']"), "any purpose"),
        (rules(["cert"], "cert.extensions = ['*']"), "unknown extensions"),
        (rules(["cert"]), "nothing limits how many certificates"),
        (rules(["cert"], "cert.dns = ['*']"), "these names in certificates: dns"),
        (rules(["cert"], "cert.ip = ['0.0.0.0/0']"), "these names in certificates: ip"),
        (rules(["csr"]), "no key and no provision uses it"),
        ('version = 1\n[keys."a/b"]\nkinds = ["raw"]', "keys.a/b: signs whatever"),
    ],
)
def test_what_is_wide_open_is_warned_of(text, warning):
    """In one sentence that names the table."""
    assert any(warning in one for one in read_policy(text.encode()).warnings())
