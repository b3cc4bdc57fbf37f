"""Tokens that end, rights that are missing, proxies and wrong certificates before Intune."""

import pytest

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.issuance import Issued
from pikaserver_scep.challenges.method import Postponed
from tests.scep_challenges.house import make_csr
from tests.scep_challenges.intune_stand_in import BLOB
from tests.scep_challenges.tls_place import Tunnel, serving


@pytest.fixture
def house(make_house):
    """Give a server whose devices ask Intune."""
    return make_house()


def test_an_expired_token_is_fetched_anew(house, intune, asked):
    """401 once, and on it goes."""
    house.enroll(asked)
    intune.expire_tokens()

    house.enroll(house.question(make_csr("laptop-8", BLOB), transaction="t-8"))

    assert 4 == intune.tokens_given


def test_a_service_that_moved_is_looked_up_anew(house, intune, asked):
    """404 at the old place: pending, and the next poll finds the new one."""
    house.enroll(asked)
    intune.prefix = "/shard-2"
    other = house.question(make_csr("laptop-8", BLOB), transaction="t-8")

    assert isinstance(house.enroll(other), Postponed)
    assert isinstance(house.enroll(other), Issued)


def test_missing_rights_in_entra_let_devices_wait(house, intune, asked):
    """An administrator has yet to consent; the reason names Graph and its word."""
    intune.places_down = True

    postponed = house.enroll(asked)

    assert "Microsoft Graph answers 403" in postponed.why
    assert "Authorization_RequestDenied" in postponed.why


def test_a_wrong_client_secret_lets_devices_wait(make_house, secret):
    """It expired, say; the secret itself is in no message."""
    house = make_house(**{"secret-file": secret("old~value", "old")})

    postponed = house.enroll(house.question(make_csr("laptop-7", BLOB)))

    assert "Entra gives no token: 401" in postponed.why
    assert "old~value" not in postponed.why


def test_all_goes_through_a_proxy(intune, make_house, secret, place):
    """CONNECT with a password, for the token, for Graph and for Intune."""
    with serving(Tunnel) as proxy:
        proxy.tunnels = []
        house = make_house(
            proxy=f"http://127.0.0.1:{proxy.server_port}",
            **{"proxy-user": "outside", "proxy-password-file": secret("let me out", "proxy")},
        )
        issued = house.enroll(house.question(make_csr("laptop-7", BLOB)))

    assert isinstance(issued, Issued)
    assert {f"127.0.0.1:{place.server_port}"} == set(proxy.tunnels)
    assert len(proxy.tunnels) == len(intune.log)


def test_a_proxy_that_says_no_lets_devices_wait(intune, make_house, secret):
    """Its password changed; nothing reached Intune."""
    with serving(Tunnel) as proxy:
        proxy.tunnels = []
        house = make_house(
            proxy=f"http://127.0.0.1:{proxy.server_port}",
            **{"proxy-user": "outside", "proxy-password-file": secret("wrong", "proxy")},
        )
        postponed = house.enroll(house.question(make_csr("laptop-7", BLOB)))

    assert isinstance(postponed, Postponed)
    assert not intune.log


def test_a_server_with_another_certificate_is_not_believed(intune, make_house):
    """Without our authority's file its certificate counts for nothing."""
    house = make_house(**{"ca-file": None})

    postponed = house.enroll(house.question(make_csr("laptop-7", BLOB)))

    assert isinstance(postponed, Postponed)
    assert not intune.log


def test_a_missing_secret_stops_the_start(make_house):
    """Better than the first device in the evening."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        make_house(**{"secret-file": "/nonexistent/secret"})
