"""A process that validates on a server's data until it is killed: ``killed FOLDER DNS``."""

import os
import sys
import threading
from pathlib import Path

from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver_acme.validation.question import Limits, Question, VantagePoint
from pikaserver_acme.validation.settings import ValidationSettings
from pikaserver_acme.validation.validators import Validation
from tests.acme_validation.challenges import StoredChallenges

ENVIRONMENT = {
    "PIKASERVER__PLUGINS__ENABLED": '["crl", "acme"]',
    "PIKASERVER__LISTENERS__PUBLIC__SERVE": '["crl"]',
    "PIKASERVER__LISTENERS__PUBLIC__BIND": "127.0.0.1:0",
    "PIKASERVER__LISTENERS__DEVICES__SERVE": '["acme"]',
    "PIKASERVER__LISTENERS__DEVICES__BIND": "127.0.0.1:0",
}
CHALLENGES = (1, 2, 3, 4, 5)


def question(dns: str) -> Question:
    """Return what is asked of each of them."""
    return Question(
        challenge_id=1,
        challenge_type="dns-01",
        identifier_type="dns",
        identifier_value="www.example.org",
        wildcard=False,
        subdomains=False,
        token="x",  # noqa: S106 - no secret
        key_authorization="x.y",
        account_url="https://pki.example/acme/web/account/1",
        response=b"{}",
        limits=Limits(vantage_points=(VantagePoint("here", (dns,)),), timeout_seconds=30),
    )


def main(folder: str, dns: str) -> None:
    """Begin five challenges with two threads, and wait for the end."""
    with open_server(load(ENVIRONMENT, data=Path(folder)), ENVIRONMENT) as server:
        challenges = StoredChallenges(server.database)
        challenges.add(question(dns), *CHALLENGES)
        settings = ValidationSettings(workers=2, waiting=1)
        validation = Validation(server.for_plugins, challenges, settings)
        validation.start()
        for one in CHALLENGES[:4]:
            validation.begin(one)
        os.write(1, b"begun\n")
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
