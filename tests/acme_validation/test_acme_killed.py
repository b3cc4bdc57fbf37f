"""A real process on a real database, killed while it validates."""

import base64
import hashlib
import os
import subprocess
import sys

from sqlalchemy import select

from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.testing.patience import until
from pikaserver.testing.servers import make_server
from pikaserver_acme.storage.tables import challenge, validation
from pikaserver_acme.validation.settings import ValidationSettings
from pikaserver_acme.validation.validators import Validation
from tests.acme_validation.challenges import StoredChallenges
from tests.acme_validation.killed import CHALLENGES, ENVIRONMENT, question

NAME = "_acme-challenge.www.example.org"
DIGEST = base64.urlsafe_b64encode(hashlib.sha256(b"x.y").digest()).rstrip(b"=").decode()


def test_nothing_that_was_begun_is_lost_by_kill_9(tmp_path, dns):
    """At work, waiting in memory, waiting in the database, and not yet entered."""
    folder = tmp_path / "data"
    with make_server(folder, environment=ENVIRONMENT):
        pass
    dns.silent.add(NAME)
    program = [sys.executable, "-m", "tests.acme_validation.killed", str(folder), dns.address]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(program, stdout=subprocess.PIPE, env=environment) as child:
        try:
            assert b"begun\n" == child.stdout.readline()
            until(lambda: len(dns.asked) >= 2, "two look-ups")
        finally:
            child.kill()
    dns.silent.clear()
    dns.add(NAME, "TXT", f'"{DIGEST}"')

    with open_server(load(ENVIRONMENT, data=folder), ENVIRONMENT) as server:
        challenges = StoredChallenges(server.database)
        challenges.questions = dict.fromkeys(CHALLENGES, question(dns.address))
        again = Validation(server.for_plugins, challenges, ValidationSettings())
        again.start()
        verdicts = challenges.wait(*CHALLENGES)
        again.stop()

        assert all(one.valid for one in verdicts)
        with server.database.reading() as connection:
            assert ["valid"] * 5 == list(connection.scalars(select(challenge.c.status)))
            assert [] == list(connection.scalars(select(validation.c.challenge_id)))
