"""What every check is given: the rules, who is asked, and what was allowed before."""

from dataclasses import dataclass
from datetime import timedelta

from hsm_agent.policy.faults import Refusal
from hsm_agent.policy.memory import Memory
from hsm_agent.policy.own_certificate import OwnCertificate, read_own_certificate
from hsm_agent.policy.rules import KeyRules
from hsm_agent.policy.verdicts import Asked
from hsm_agent.structures.der import Malformed

CLOCK_TOLERANCE = timedelta(minutes=1)
"""How far the clocks of agent and server may differ; the channel closes at half of it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request before it is decided."""

    rules: KeyRules
    asked: Asked
    memory: Memory

    def own(self) -> OwnCertificate:
        """Return the certificate that the key signs under.

        Raises:
            Refusal: it has none yet, or it cannot be read.
        """
        if self.asked.issuer is None:
            raise Refusal("this key has no certificate yet to sign this under")
        try:
            own = read_own_certificate(self.asked.issuer)
        except Malformed as broken:
            raise Refusal(f"this key's own certificate cannot be read: {broken}") from None
        if own.public_key != self.asked.public_key:
            raise Refusal("this key's own certificate is over another key")
        return own

    def authority(self) -> OwnCertificate:
        """Return the same where it is that of an authority.

        Raises:
            Refusal: it is not.
        """
        own = self.own()
        if not own.is_authority:
            raise Refusal("this key's own certificate is not that of an authority")
        return own
