"""What an agent in a test may answer instead of the truth; see ``FakeAgent.tamper``."""

from dataclasses import replace

from hsm_agent.wire.messages import Sign, Signed
from pikaserver.testing.fake_agent_desk import Answer, Request


def flipped(_request: Request, answer: Answer) -> Answer:
    """Return a signature with one bit wrong."""
    if not isinstance(answer, Signed):
        return answer
    wrong = bytes([answer.signature[0], *answer.signature[1:-1], answer.signature[-1] ^ 1])
    return replace(answer, signature=wrong)


def silent(request: Request, answer: Answer) -> Answer | None:
    """Answer everything but requests to sign."""
    return None if isinstance(request, Sign) else answer


def misdirected(_request: Request, answer: Answer) -> Answer:
    """Answer as if something else had been asked."""
    return replace(answer, request=bytes(32)) if isinstance(answer, Signed) else answer
