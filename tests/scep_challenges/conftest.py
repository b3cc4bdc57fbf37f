"""Challenge methods before a server in memory, and services elsewhere on the loopback."""

import pytest

from tests.scep_challenges.house import House
from tests.scep_challenges.intune_stand_in import IntuneHandler
from tests.scep_challenges.test_scep_webhook import Decider
from tests.scep_challenges.tls_place import self_signed, serving


@pytest.fixture
def house():
    return House()


@pytest.fixture(scope="session")
def tls_file(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("stand-in"))


@pytest.fixture
def secret(tmp_path):
    """Write a secret to a file that only its owner reads, and return the path."""

    def write(text, name="secret"):
        path = tmp_path / name
        path.write_text(f"{text}\n")
        path.chmod(0o600)
        return str(path)

    return write


@pytest.fixture(scope="module")
def places(tls_file):
    """Serve Intune and a webhook."""
    with serving(IntuneHandler, tls_file) as intune, serving(Decider, tls_file) as webhook:
        webhook.asked = []
        yield intune, webhook
