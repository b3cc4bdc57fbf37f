"""Texts from the other side, before they are stored, logged or shown."""

MOST_CHARACTERS = 1000


def printable(text: bytes | str) -> str:
    """Return a text that can neither steer a terminal nor upset a database."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[:MOST_CHARACTERS])
    return shown if len(text) <= MOST_CHARACTERS else f"{shown}..."
