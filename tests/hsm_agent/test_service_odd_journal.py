"""Places on the way to a key are given back, whatever happens to the journal."""

from hsm_agent.wire.messages import Refused, Sign
from tests.hsm_agent.service_side import LINE, WHY, service_side
from tests.hsm_agent.structures_to_sign import leaf_tbs


def test_a_journal_that_fails_as_nobody_expected_leaves_no_place_taken(tmp_path, monkeypatch):
    """Each request is refused, and the key is free for the next ones."""
    with service_side(tmp_path) as side:
        key = side.authority()
        asked = [
            Sign(
                side.number(),
                key,
                "ecdsa-sha256",
                leaf_tbs(side.clock(), serial=serial),
                side.clock() + 60_000,
                WHY,
            )
            for serial in (11, 12)
        ]

        def fail(*_):
            raise MemoryError

        monkeypatch.setattr(side.journal, "append_all", fail)
        used = len(side.store.signed)
        answers = [one for some in side.service.sign(asked, LINE) for one in some]

        assert [one.id for one in asked] == [one.id for one in answers]
        assert {(Refused, "token-error")} == {(type(one), one.code) for one in answers}
        assert 0 == side.service.waiting()
        assert used == len(side.store.signed)
