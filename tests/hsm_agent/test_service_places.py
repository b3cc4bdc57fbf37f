"""Places on the way to a key are given back, however the answers are taken."""

from hsm_agent.wire.messages import Refused, Sign
from tests.hsm_agent.service_side import LINE, WHY, service_side
from tests.hsm_agent.structures_to_sign import leaf_tbs


def test_who_takes_only_the_first_answers_leaves_no_place_taken(tmp_path):
    """They are refusals; the requests that were decided hold places, and their key is not used."""
    with service_side(tmp_path) as side:
        key = side.authority()
        asked = [
            Sign(side.number(), key, "ecdsa-sha256", tbs, side.clock() + 60_000, WHY)
            for tbs in (b"no structure", leaf_tbs(side.clock(), serial=11))
        ]

        answers = side.service.sign(asked, LINE)
        first = next(answers)
        held = side.service.waiting()
        answers.close()

        assert [Refused] == [type(one) for one in first]
        assert (1, 0) == (held, side.service.waiting())
