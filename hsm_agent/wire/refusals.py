"""The codes with which an agent refuses."""

REFUSALS = {
    "unknown-key": True,
    "token-absent": True,
    "token-error": True,
    "busy": True,
    "expired": True,
    "pin-needed": True,
    "pin-locked": True,
    "touch-timeout": True,
    "journal": True,
    "approval-needed": True,
    "draining": True,
    "malformed": False,
    "kind": False,
    "policy": False,
    "exists": False,
    "unsupported": False,
}
"""Every code, and whether another agent, or a later time, may answer otherwise."""
