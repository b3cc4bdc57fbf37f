"""Signatures that need people: they wait, are shown, approved or declined."""

import pytest

from hsm_agent.wire.messages import Context, Sign, Signed
from tests.hsm_agent.service_side import refused, service_side
from tests.hsm_agent.structures_to_sign import authority_tbs


@pytest.fixture
def side(tmp_path):
    with service_side(tmp_path) as made:
        yield made


@pytest.fixture
def key(side):
    return side.authority()


def test_an_authority_below_needs_the_operator(tmp_path):
    """Its own first certificate gives nobody anything; every authority below does."""
    with service_side(tmp_path) as side:
        key = side.root()
        tbs = authority_tbs(side.clock())
        answer = side.sign(key, tbs)
        refused(side, answer, "approval-needed")
        [record] = side.approvals.pending()
        assert answer.approval == record.approval
        for told in ("kind: ca-cert", "subject: CN=sub", "serial: 9", "unchecked", "actor: ra-1"):
            assert told in record.text
        assert "approval-needed" == side.sign(key, tbs).code
        side.approvals.add_proof(record.approval, "local", b"")

        assert isinstance(side.sign(key, tbs), Signed)
        assert ["local"] == side.lines("sign")[-1]["approved-by"]
        assert [] == list(side.approvals.pending())
        assert isinstance(side.sign(key, tbs), Signed)
        other = side.sign(key, authority_tbs(side.clock(), serial=10))
        assert "approval-needed" == other.code
        store = side.store
    with service_side(tmp_path, store=store) as side:
        assert isinstance(side.sign(key, tbs), Signed)
        assert "approval-needed" == side.sign(key, authority_tbs(side.clock(), serial=11)).code


def test_what_the_operator_declined_is_refused(side):
    """No retry: a person said no."""
    key = side.root()
    approval = side.sign(key, authority_tbs(side.clock())).approval
    side.approvals.decline(approval)

    assert "declined" in refused(side, side.sign(key, authority_tbs(side.clock())), "policy")


def test_a_text_for_a_person_moves_no_cursor(side):
    """Names and reasons come from the other side; a terminal shows them as they are."""
    key = side.root()
    context = Context("a\x1b[2J", "p\r\n", "\u202e", "x" * 9000)
    tbs = authority_tbs(side.clock(), subject="CN=\x1b[1A evil")
    request = Sign(bytes(16), key, "ecdsa-sha256", tbs, side.clock() + 1000, context)
    side.ask(request)

    [record] = side.approvals.pending()

    assert record.text.replace("\n", "").isprintable()
    assert "\\x1b[2J" in record.text
    assert len(record.text) < 6000
