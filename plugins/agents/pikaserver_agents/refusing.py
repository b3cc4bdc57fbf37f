"""What an agent's refusal means for whoever asked, in the server's family of errors."""

from hsm_agent.wire.messages import Refused
from pikaserver.api.errors import (
    Conflict,
    KeyUnavailable,
    NotFound,
    PikaserverError,
    RequestRejected,
    SignaturePending,
)
from pikaserver_agents.printing import printable

APPROVAL_NEEDED = "approval-needed"
BUSY = "busy"
DRAINING = "draining"
_MEANINGS = {
    "token-absent": "its token is not there",
    "token-error": "its token failed",
    "pin-needed": "it has no PIN for its token; unlock it at the agent",
    "pin-locked": "its token is locked: too many wrong PINs",
    "touch-timeout": "nobody touched its token in time",
    "journal": "its journal cannot be written",
    "unknown-key": "it has no such key any more",
    "expired": "it took the request for too old",
    BUSY: "it has too much to do",
    DRAINING: "it is about to stop",
}


def as_error(agent: str, refused: Refused) -> PikaserverError:
    """Return the error that a refusal stands for; its text names the agent and its own words."""
    why = printable(refused.why)
    match refused.code:
        case "approval-needed":
            digest = refused.approval.hex()
            return SignaturePending(
                f"agent {agent} waits for approvals: {why}; approve {digest} there with"
                " 'hsm-agent approve', or here with 'pikaserver agent approve-signature'",
                refused.approval or None,
            )
        case "exists":
            return Conflict(f"agent {agent}: {why}")
        case "unknown-key" if not refused.retry:
            return NotFound(f"agent {agent}: {why}")
        case code if refused.retry:
            meaning = _MEANINGS.get(code, code)
            return KeyUnavailable(f"agent {agent}: {meaning} ({why})", seconds(refused.after))
    return RequestRejected(f"agent {agent} refuses it ({refused.code}): {why}")


def seconds(after: int) -> int:
    """Return an agent's ``after`` as the seconds that a caller is told, one at least."""
    return max(1, -(-after // 1000)) if after else 30
