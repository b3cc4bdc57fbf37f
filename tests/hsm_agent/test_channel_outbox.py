"""What waits to be sent on a line: many messages in a frame, and when to wait for more."""

import threading

from hsm_agent.channel.outbox import ENOUGH, Outbox
from hsm_agent.wire.messages import JournalLines, Mark, Ping
from pikaserver.testing.patience import SECONDS

MARK = Mark(0, bytes(32))


def test_messages_share_a_frame_but_lines_of_the_journal_do_not():
    """What waits goes together, up to 64; what may fill a frame goes alone."""
    batches = []
    lines = JournalLines(bytes(16), bytes(32), (b"x",), MARK)
    outbox = Outbox(lambda *messages: batches.append(messages), crowded=lambda: False)
    for message in [*[Ping()] * 70, lines, Ping(), lines]:
        outbox.put(message)

    thread = threading.Thread(target=outbox.run, args=(lambda: None,))
    thread.start()
    assert outbox.wait_empty(SECONDS)
    outbox.close()
    thread.join()

    assert [64, 6, 1, 1, 1] == [len(batch) for batch in batches]


def test_under_load_a_message_waits_until_there_are_enough(monkeypatch):
    """They share a frame, as soon as it is worth it; what comes later wakes the writer again."""
    monkeypatch.setattr("hsm_agent.channel.outbox.LINGER_SECONDS", 2 * SECONDS)
    batches, begun = [], threading.Event()
    others = [threading.Thread(target=lambda: outbox.put(Ping())) for _ in range(ENOUGH - 1)]

    def crowded():
        if begun.is_set():
            return False
        # They find the outbox locked until the writer lingers.
        for other in others:
            other.start()
        begun.set()
        return True

    outbox = Outbox(lambda *messages: batches.append(messages), crowded)
    thread = threading.Thread(target=outbox.run, args=(lambda: None,))
    thread.start()
    outbox.put(Ping())
    assert begun.wait(SECONDS)
    for other in others:
        other.join()
    assert outbox.wait_empty(SECONDS)
    outbox.put(Ping())
    assert outbox.wait_empty(SECONDS)
    outbox.close()
    thread.join()

    assert [ENOUGH, 1] == [len(batch) for batch in batches]
