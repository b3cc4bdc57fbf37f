"""Which relayed frames came already: one window of sequence numbers for each asking key."""

from dataclasses import dataclass

WIDTH = 4096
"""So far behind the highest number a frame may come late."""
_ALL = (1 << WIDTH) - 1


@dataclass(slots=True)
class RelayWindow:
    """``highest`` number seen; bit n of ``seen`` stands for ``highest - n``."""

    highest: int = 0
    seen: int = 0

    def take(self, sequence: int) -> bool:
        """Note a number; return whether it is new, and not too old to be known."""
        if sequence < 1 or sequence <= self.highest - WIDTH:
            return False
        if sequence > self.highest:
            ahead = sequence - self.highest
            self.seen = (self.seen << ahead if ahead < WIDTH else 0) & _ALL
            self.highest = sequence
        bit = 1 << self.highest - sequence
        if self.seen & bit:
            return False
        self.seen |= bit
        return True
