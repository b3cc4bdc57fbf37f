"""Manual approval: whoever has no password waits for a person."""

from pikaserver.api.issuance import Requester
from pikaserver_scep.challenges.method import (
    METHOD,
    Accepted,
    ChallengeQuestion,
    NotMine,
    Verdict,
)


class Manual:
    """The method; a wrong password is not made good by it."""

    name = "manual"

    def check(self, question: ChallengeQuestion) -> Verdict:
        """See ``pikaserver_scep.challenges.method.ChallengeMethod``."""
        if question.csr.challenge_password:
            return NotMine()
        requester = Requester(
            f"{METHOD}:manual",
            METHOD,
            question.address,
            templates=frozenset({question.template.name}),
        )
        return Accepted(requester, self.name, approval=True)
