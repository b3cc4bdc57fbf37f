"""The orders' side, in memory and in the plugin's tables."""

import threading

from sqlalchemy import insert, select, update

from pikaserver_acme.storage.authorizations import note
from pikaserver_acme.storage.tables import account, authorization, challenge, policy
from pikaserver_acme.validation.question import Question, Verdict


class FakeChallenges:
    """Implements ``pikaserver_acme.validation.question.Challenges``."""

    def __init__(self) -> None:
        self.questions: dict[int, Question] = {}
        self.verdicts: dict[int, Verdict] = {}
        self.settled = threading.Condition()

    def ask(self, challenge_id: int) -> Question | None:
        """See the protocol."""
        return None if challenge_id in self.verdicts else self.questions.get(challenge_id)

    def settle(self, challenge_id: int, verdict: Verdict) -> bool:
        """See the protocol."""
        with self.settled:
            if challenge_id in self.verdicts:
                return False
            self.verdicts[challenge_id] = verdict
            self.settled.notify_all()
            return True

    def wait(self, *challenges: int, seconds: float = 30) -> list[Verdict]:
        """Return verdicts as soon as all are there."""
        with self.settled:
            done = self.settled.wait_for(
                lambda: all(one in self.verdicts for one in challenges), seconds
            )
            assert done, f"no verdict of {set(challenges) - self.verdicts.keys()}"
            return [self.verdicts[one] for one in challenges]


class StoredChallenges(FakeChallenges):
    """The same, with challenges that are ``processing`` in a database."""

    def __init__(self, database) -> None:
        super().__init__()
        self._database = database
        with database.transaction() as connection:
            if connection.scalar(select(authorization.c.id)) is None:
                _make_ground(connection)

    def add(self, question: Question, *challenges: int) -> None:
        """Store challenges that a client has begun."""
        with self._database.transaction() as connection:
            for one in challenges:
                self.questions[one] = question
                row = {
                    "id": one,
                    "authorization_id": 1,
                    "type": question.challenge_type,
                    "token": question.token,
                    "status": "processing",
                }
                connection.execute(insert(challenge).values(row))

    def settle(self, challenge_id: int, verdict: Verdict) -> bool:
        """See the protocol."""
        with self._database.transaction() as connection:
            row = update(challenge).where(
                challenge.c.id == challenge_id, challenge.c.status == "processing"
            )
            status = "valid" if verdict.valid else "invalid"
            if connection.execute(row.values(status=status)).rowcount != 1:
                return False
            note(connection, challenge_id, verdict.log, 0)
        return super().settle(challenge_id, verdict)


def _make_ground(connection) -> None:
    connection.execute(
        insert(policy).values(
            id=1,
            name="web",
            rules="{}",
            enabled=True,
            created_at=0,
            changed_at=0,
            changed_by="test",
        )
    )
    connection.execute(
        insert(account).values(
            id=1,
            policy_id=1,
            thumbprint="x",
            key="{}",
            status="valid",
            contacts="[]",
            address="127.0.0.1",
            created_at=0,
        )
    )
    connection.execute(
        insert(authorization).values(
            id=1,
            account_id=1,
            identifier_type="dns",
            identifier_value="www.example.org",
            wildcard=False,
            subdomains=False,
            status="pending",
            pre_approved=False,
            created_at=0,
            expires_at=0,
        )
    )
