"""Wait until pcscd says that a reader is ``empty`` or ``present``.

``python -m tests.virtual_yubikey.reader_state READER WORD``.  pcscd looks every 400 ms: a card that
is back sooner counts as never gone, nobody powers it up and old connections talk to it.  And it
powers a new card up before it tells anybody: who connects in between finds no card, or gets a
connection without a protocol (0x8010000F).
"""

import sys

from smartcard.scard import (
    SCARD_S_SUCCESS,
    SCARD_SCOPE_USER,
    SCARD_STATE_EMPTY,
    SCARD_STATE_PRESENT,
    SCARD_STATE_UNAWARE,
    SCardEstablishContext,
    SCardGetErrorMessage,
    SCardGetStatusChange,
    SCardReleaseContext,
)

PATIENCE_MILLISECONDS = 10_000
WORDS = {"empty": SCARD_STATE_EMPTY, "present": SCARD_STATE_PRESENT}


def main(reader: str, word: str) -> str | None:
    """Return nothing as soon as it is so, else what went wrong."""
    result, context = SCardEstablishContext(SCARD_SCOPE_USER)
    state = SCARD_STATE_UNAWARE
    while result == SCARD_S_SUCCESS and not state & WORDS[word]:
        result, told = SCardGetStatusChange(context, PATIENCE_MILLISECONDS, [(reader, state)])
        state = told[0][1]
    SCardReleaseContext(context)
    return None if result == SCARD_S_SUCCESS else SCardGetErrorMessage(result)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
