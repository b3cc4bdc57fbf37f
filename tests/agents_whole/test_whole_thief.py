"""The server is fully in a thief's hands: database, keys and code.  The agent's policy is not."""

import pytest

from hsm_agent import clock
from hsm_agent.wire.frames import Frame, receive_octets, with_length
from hsm_agent.wire.messages import Ping, Refused, Relayed, Signed
from hsm_agent.wire.session import relay_session_id, seal
from pikaserver.testing.patience import until
from tests.agents_whole.loot import rob
from tests.agents_whole.tries import TRIES


@pytest.fixture(scope="module")
def loot(house, tmp_path_factory):
    """Let an honest server work for a while; then a thief takes its place."""
    found = rob(house, tmp_path_factory.mktemp("thief"))
    yield found
    found.thief.close()


@pytest.mark.parametrize("deed", TRIES)
def test_the_thief_gets_nothing(loot, deed):
    """It is refused, the journal tells of it, and the key goes on for honest requests."""
    attempt, (code, why) = TRIES[deed]
    signed = len(loot.host.journal("sign"))
    refused = len(loot.host.journal("refused"))

    answer = attempt(loot)

    assert isinstance(answer, Refused)
    assert code == answer.code, answer.why
    assert why in answer.why.decode()
    assert signed == len(loot.host.journal("sign"))
    (line,) = loot.host.journal("refused")[refused:]
    assert (code, answer.why.decode()) == (line["code"], line["why"])
    assert loot.honest()


def test_the_thief_gets_no_more_than_the_rate(loot):
    """What is within the policy he gets, so often and no more; the journal knows each one."""
    thief = loot.thief
    answers = [thief.sign("slow", thief.leaf("slow").tbs) for _ in range(5)]

    assert 3 == sum(isinstance(answer, Signed) for answer in answers)
    assert {"busy"} == {answer.code for answer in answers[3:]}
    assert all(answer.after > 0 for answer in answers[3:])
    assert b"per-hour is 3" in answers[-1].why


def test_what_waits_for_approval_is_signed_for_nobody(loot):
    """Proofs of the thief's own are refused, and asking again helps nothing."""
    waits = loot.authority("top")
    forged = loot.thief.approve(waits.approval, "ed25519", bytes(64))
    sshsig = loot.thief.approve(waits.approval, "ssh", b"-----BEGIN SSH SIGNATURE-----\n")

    assert {"policy"} == {forged.code, sshsig.code}
    assert [waits.approval.hex()] == [
        one["id"] for one in loot.host.json("approvals") if one["id"] == waits.approval.hex()
    ]
    assert loot.honest()


def test_a_line_that_is_not_kept_alive_signs_nothing(loot):
    """Who holds frames back, to have them signed when nobody knows of it, holds nothing."""
    line = loot.fresh_line(dead=1500)

    assert line.is_gone()
    loot.thief.connect()
    assert loot.honest()


def cut(loot, deed):
    """Do something with a line; return what the agent's journal says of its end."""
    line = loot.fresh_line()
    before, signed = len(loot.host.journal("line")), len(loot.host.journal("sign"))
    deed(line)
    assert line.is_gone()
    told = until(lambda: loot.host.journal("line")[before:], "a line of the journal")
    assert signed == len(loot.host.journal("sign"))
    loot.thief.connect()
    assert loot.honest()
    return told[0]["why"]


def test_a_frame_that_is_replayed_ends_the_line(loot):
    """Even at once, on the very same line; the request in it is answered once."""

    def replay(line):
        octets = line.seal(loot.thief.wish("devices", b"not to be signed"))
        line.send_octets(octets + octets)

    assert "frame 2 where 3 was to come" == cut(loot, replay)


def test_frames_that_change_places_end_the_line(loot):
    """A later one first is a frame that is missing."""

    def reorder(line):
        first, second = line.seal(loot.wish()), line.seal(loot.wish())
        line.send_octets(second + first)

    assert "frame 3 where 2 was to come" == cut(loot, reorder)


def test_a_frame_of_another_line_ends_the_line(loot):
    """Its signature holds, and its session is over."""
    octets = loot.fresh_line().seal(loot.wish())

    assert "a frame of another session" == cut(loot, lambda line: line.send_octets(octets))


def test_a_frame_of_the_agent_itself_ends_the_line(loot):
    """It was signed by the wrong side."""

    def reflect(line):
        line.send(Ping())
        octets = receive_octets(line.octets)
        line.session.open(Frame.of(octets))
        line.send_octets(with_length(octets))

    assert "a frame whose signature does not hold" == cut(loot, reflect)


def test_a_frame_with_one_bit_changed_ends_the_line(loot):
    """In what is signed."""

    def flip(line):
        octets = bytearray(line.seal(loot.wish()))
        octets[len(octets) // 2] ^= 1
        line.send_octets(bytes(octets))

    assert "a frame whose signature does not hold" == cut(loot, flip)


def test_a_frame_of_long_ago_ends_the_line(loot):
    """Sealed by the thief himself, with a clock of his own."""

    def late(line):
        node = loot.thief.node
        now, node.now = node.now, lambda: now() - 3_600_000
        octets = line.seal(loot.wish())
        node.now = now
        line.send_octets(octets)

    assert cut(loot, late).startswith("clock: ")


def test_a_frame_by_way_of_the_database_counts_once(loot):
    """Those who have no line have a number that grows; the agent knows it after a restart, too."""
    thief, identity = loot.thief, loot.thief.node.identity
    session = relay_session_id(identity.frame_public, thief.agent_frame_key)
    frame = seal(session, 1_000_000, clock.now_ms(), [loot.wish()], identity.sign).octets()

    first = thief.relay(frame)
    again = thief.relay(frame)
    loot.fresh_line().beat()
    after = thief.relay(frame)

    assert isinstance(first, Relayed)
    assert {"malformed"} == {again.code, after.code}
    assert b"relayed frame 1000000 came before" in after.why


def test_all_of_it_is_in_the_journal_and_the_journal_is_sound(loot):
    """Each refusal with its reason; the thief, too, sees that it is there."""
    told = loot.host.json("journal", "verify")

    assert told["sound"], told
    assert told["events"]["refused"] >= len(TRIES)
    assert loot.thief.journal()


def test_the_true_server_finds_what_the_thief_had_signed(loot, house):
    """Once it is back: each signature that it never asked for is one line, with the key."""
    loot.thief.close()
    stolen = {line["tbs"] for line in loot.host.journal("sign")}
    house.server.start()
    house.wait_connected("vault-a")

    answer = house.try_("agent", "compare", "vault-a", "-o", "json")

    assert 6 == answer.code
    found = [one for one in answer.json["differences"] if "never asked for it" in one]
    assert found
    assert all(any(tbs in one for tbs in stolen) for one in found)
