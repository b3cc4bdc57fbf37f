"""What a frame between server and agent costs, by the kind of the key that signs it.

CPU time of sealing and of opening one frame, which a line pays for each; the limit is the same
signature made and verified over the same octets.
"""

import time
from collections.abc import Callable

from measuring import arguments, print_facts, print_table

from hsm_agent.identity.channel_keys import new_frame_key, written
from hsm_agent.identity.identity import frame_verifier
from hsm_agent.wire.frame_kinds import FRAME_KINDS
from hsm_agent.wire.frames import Frame
from hsm_agent.wire.messages import Context, Message, Sign
from hsm_agent.wire.session import MOST_MESSAGES, Session

NOW = 1_767_355_200_000
TBS_OCTETS = 700
"""An ordinary certificate's."""
_HEAD = ("kind", "requests", "octets", "seal µs", "open µs", "limit µs", "of the limit")


def main() -> None:
    """Measure every kind, with one request in a frame and with as many as it takes."""
    options = arguments(__doc__).parse_args()
    print_facts(__doc__)
    seconds = options.seconds / 8
    rows = [measured(kind, many, seconds) for kind in FRAME_KINDS for many in (1, MOST_MESSAGES)]
    print_table(_HEAD, rows)


def measured(kind: str, many: int, seconds: float) -> list[object]:
    """Return one row of the table."""
    key = new_frame_key(kind)
    verify = frame_verifier(written(key))
    message: Message = Sign(
        bytes(16), bytes(32), "ecdsa-sha256", bytes(TBS_OCTETS), 2 * NOW, Context("issuing", "leaf")
    )
    sender = Session(bytes(32), key.sign, verify, lambda: NOW)
    receiver = Session(bytes(32), key.sign, verify, lambda: NOW)
    frames = []
    sealed = best(lambda: frames.append(sender.seal([message] * many).octets()), seconds)
    waiting = iter(frames)
    opened = best(lambda: receiver.open(Frame.of(next(waiting))), seconds, len(frames))
    octets = Frame.of(frames[0]).payload
    signature = key.sign(octets)
    limit = best(lambda: key.sign(octets), seconds) + best(
        lambda: verify(octets, signature), seconds
    )
    ratio = limit / (sealed + opened)
    return [kind, many, len(frames[0]), sealed, opened, limit, ratio]


def best(deed: Callable[[], object], seconds: float, most: int = 1 << 30) -> float:
    """Return the CPU time of a deed in microseconds, that of the quickest ten in a row."""
    quickest, done, until = float("inf"), 0, time.monotonic() + seconds
    while time.monotonic() < until and done + 10 <= most:
        began = time.process_time()
        for _ in range(10):
            deed()
        quickest, done = min(quickest, time.process_time() - began), done + 10
    return quickest / 10 * 1e6


if __name__ == "__main__":
    main()
