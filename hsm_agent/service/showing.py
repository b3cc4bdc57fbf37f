"""What octets say, as text for a person who has to agree to them."""

import hashlib
from collections.abc import Mapping

from hsm_agent.wire.messages import Context

_LONGEST = 4000


def approval_text(
    key_name: str, kind: str, octets: bytes, facts: Mapping[str, str], context: Context
) -> str:
    """Return lines of text; nothing in them can move a terminal's cursor.

    What the server says about its reasons stands apart: nobody has checked it.
    """
    digest = hashlib.sha256(octets).hexdigest()
    told = [("key", key_name), ("kind", kind), ("sha256", digest), ("octets", str(len(octets)))]
    told += [(name, value) for name, value in sorted(facts.items()) if name != "kind"]
    lines = [f"{name}: {printable(value)}" for name, value in told]
    said = [f"  {name}: {printable(value)}" for name, value in reasons(context).items()]
    if said:
        lines += ["what the server says, unchecked:", *said]
    return "\n".join(lines) + "\n"


def reasons(context: Context) -> dict[str, str]:
    """Return what the server says of its reasons, without what it leaves empty."""
    told = {
        "authority": context.authority,
        "purpose": context.purpose,
        "request": context.request,
        "actor": context.actor,
    }
    return {name: value for name, value in told.items() if value}


def printable(text: str, longest: int = _LONGEST) -> str:
    """Return the text with everything escaped that is not to be seen, and cut if it is long."""
    if len(text) <= longest and text.isprintable():
        return text
    seen = "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode()
        for one in text[:longest]
    )
    return seen if len(text) <= longest else f"{seen}... ({len(text)} characters)"
