"""What can be wrong with octets from the other side."""


class WireError(Exception):
    """The other side broke the protocol; the connection is closed, nothing is resumed."""


class FrameLate(WireError):
    """The frame is sound, but too old, or the clocks of both sides are too far apart."""
