"""Authorities of every key type on a token behind an agent; openssl is the judge of all of it."""

from ssl import DER_cert_to_PEM_cert as pem_of

import pytest

from pikaserver.testing.patience import until
from tests.agents_whole.deeds import approved, leaf, new_key
from tests.agents_whole.judging import Judge, OutsideCa

KEY_TYPES = ("rsa-2048", "rsa-4096", "ec-p256", "ec-p384", "ec-p521", "ed25519")


@pytest.fixture
def judge(tmp_path):
    return Judge(tmp_path)


@pytest.fixture
def outside(judge):
    return OutsideCa(judge)


def newest_crl(house, authority):
    """Return a CRL in PEM; where the server signs it at this moment, a command does not."""
    until(lambda: 0 == house.try_("crl", "export", authority).code, "a CRL", 30)
    return house("crl", "export", authority).text


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_hierarchy_on_a_token_signs_all_that_a_pki_needs(house, host, judge, key_type):
    """Root, subordinate, leaf, revocation, and the CRLs of both authorities."""
    root, sub = f"root-{key_type}", f"sub-{key_type}"
    house("ca", "create", root, *new_key(root, key_type))
    words = ("ca", "create", sub, "--parent", root, *new_key(sub, key_type))
    waits = house.try_(*words)
    approved(house, host, *words)
    name, serial, pem = leaf(house, judge, sub)
    house("cert", "revoke", serial, "--yes")
    for authority in (sub, root):
        house("crl", "generate", authority)

    assert 8 == waits.code
    assert "approvals" in waits.errors
    assert judge.trusts(house.pem(root), pem, house.pem(sub))
    assert f"DNS:{name}" in judge.run("x509", "-in", judge.folder / "leaf.pem", "-text", "-noout")
    for authority in (sub, root):
        crl = newest_crl(house, authority)
        assert judge.trusts_crl(crl, house.pem(authority))
    lists = judge.file("lists.pem", "".join(newest_crl(house, one) for one in (sub, root)))
    asked = ("-crl_check", "-CRLfile", lists)
    assert "certificate revoked" in judge.verdict(
        house.pem(root), pem, house.pem(sub), options=asked
    )
    assert judge.trusts(house.pem(root), house.pem(sub), options=asked)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_key_on_a_token_asks_another_ca_for_its_certificate(house, judge, outside, key_type):
    """The request proves the key, and what comes back is under the other root."""
    name = f"out-{key_type}"

    csr = house("ca", "create", name, "--csr", *new_key(name, key_type), "-o", "pem").text
    house("ca", "import-signed", name, outside.sign(csr), outside.file)
    _, _, pem = leaf(house, judge, name)

    assert judge.trusts(outside.pem, pem, house.pem(name))
    assert judge.trusts_crl(newest_crl(house, name), house.pem(name))


@pytest.mark.parametrize("key_type", ["rsa-2048", "ec-p384", "ed25519"])
def test_an_authority_on_a_token_is_renewed_and_gets_a_new_key(house, host, judge, key_type):
    """Both need the root's approval again; what the old key signed stays good."""
    root, sub = f"old-{key_type}", f"line-{key_type}"
    house("ca", "create", root, *new_key(root, key_type))
    approved(house, host, "ca", "create", sub, "--parent", root, *new_key(sub, key_type))
    _, _, before = leaf(house, judge, sub)
    first = house.pem(sub)

    approved(house, host, "ca", "renew", sub)
    renewed = house.pem(sub)
    approved(house, host, "ca", "rekey", sub, *new_key(f"{sub}-2", key_type))
    _, _, after = leaf(house, judge, sub)

    assert 3 == len({first, renewed, house.pem(sub)})
    for pem, above in ((before, first), (before, renewed), (after, house.pem(sub))):
        assert judge.trusts(house.pem(root), pem, above)
    assert judge.trusts_crl(house("crl", "export", sub, "--generation", "1").text, renewed)


def test_a_root_on_a_token_gets_a_new_key_and_both_vouch_for_each_other(house, host, judge):
    """Its own first signature needs nobody; the two cross-certificates do (RFC 4210 4.4)."""
    house("ca", "create", "roll", *new_key("roll", "ec-p256"))
    old = house.pem("roll")

    approved(house, host, "ca", "rekey", "roll", *new_key("roll-2", "ec-p384"))

    new = house.pem("roll")
    assert judge.trusts(new, new)
    with house.opened() as server:
        generations = [server.authorities.key("roll", number).generation for number in (1, 2)]
    (old_with_new,), (new_with_old,) = ([*map(pem_of, one.others)] for one in generations)
    assert judge.trusts(new, old_with_new)
    assert judge.trusts(old, new_with_old)


@pytest.mark.usefixtures("host")
def test_two_authorities_do_not_share_a_key_by_mistake(house):
    """A label that is taken is used, and only by who fits: another type is refused."""
    house("ca", "create", "sharing", "--parent", "root", *new_key("shared", "ec-p256"))

    refused = house.try_(
        "ca", "create", "other", "--parent", "root", *new_key("shared", "rsa-2048")
    )

    assert 1 == refused.code
    assert "not of type rsa-2048" in refused.errors


@pytest.mark.usefixtures("host")
def test_keys_are_on_the_token_and_never_leave_it(house, token):
    """The token's own tool sees them: made there, sensitive, not extractable."""
    house("ca", "create", "looked-at", "--parent", "root", *new_key("looked-at", "ec-p256"))

    told = token.tool("--list-objects", "--type", "privkey", "--label", "looked-at")

    assert "sensitive, always sensitive, never extractable, local" in told
