"""Challenge methods before a server in memory, and services elsewhere on the loopback."""

import pytest

from tests.scep_challenges.house import House, make_csr
from tests.scep_challenges.intune_stand_in import (
    APPLICATION,
    BLOB,
    SECRET,
    TENANT,
    IntuneHandler,
    IntuneState,
)
from tests.scep_challenges.ndes import PAGE, USER
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


@pytest.fixture(scope="module")
def place(tls_file):
    """Serve Intune, once for all tests of a file."""
    with serving(IntuneHandler, tls_file) as server:
        yield server


@pytest.fixture
def intune(place):
    """Give the tenant, as on its first day."""
    place.state = IntuneState()
    return place.state


@pytest.fixture
def make_house(place, intune, tls_file, secret):  # noqa: ARG001 - the tenant is fresh each time
    """Make a house whose template ``device`` asks Intune."""

    def make(**changes):
        here = f"https://127.0.0.1:{place.server_port}/"
        connector = {
            "tenant": TENANT,
            "application-id": APPLICATION,
            "secret-file": secret(SECRET),
            "login-url": here,
            "graph-url": here,
            "resource-url": "https://api.manage.microsoft.com/",
            "ca-file": str(tls_file),
            "timeout-seconds": 60,
            **changes,
        }
        return House(
            intune={"contoso": connector},
            templates={"device": {"methods": ["one-time", "intune"], "intune": "contoso"}},
        )

    return make


@pytest.fixture
def asked(house):
    """Give the question of a device with Intune's challenge."""
    return house.question(make_csr("laptop-7", BLOB), transaction="A1B2")


@pytest.fixture
def fetch(house):
    """Get the NDES page as the account of its tests."""
    return lambda path=PAGE, user=USER, **more: house.client.send("GET", path, user=user, **more)
