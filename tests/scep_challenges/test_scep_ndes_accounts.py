"""Who gets a password from the NDES page: accounts, operators, and nobody who guesses."""

import pytest

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import (
    Conflict,
    NotAllowed,
    NotFound,
    RequestRejected,
)
from pikaserver_scep.challenges.accounts import NdesAccounts
from pikaserver_scep.challenges.tables import ndes_account
from tests.scep_challenges.house import make_csr
from tests.scep_challenges.ndes import PAGE, USER, fleet, make_house


@pytest.fixture
def house():
    return make_house()


@pytest.mark.parametrize(
    "user", [None, ("EXAMPLE\\mdm", "wrong"), ("nobody", "open sesame, please"), ("", "")]
)
def test_strangers_are_asked_for_user_and_password(house, fetch, user):
    """And get no password."""
    answer = fetch(user=user)

    assert 401 == answer.status_code
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert b"challenge password" not in answer.content
    assert 0 == len(house.one_time.list())


@pytest.mark.parametrize("path", [PAGE, "/CertSrv/mscep_admin/"])
def test_an_operator_needs_no_account(path):
    """A client certificate of a template that the settings name; the trail knows whose."""
    house = make_house(operators=["operators"])
    house.template("operators")
    shown = house.server.issue(make_csr("ada"), "operators").certificate

    answer = house.client.send("GET", path, certificate=shown)

    assert fleet(answer.content)
    (made,) = house.one_time.list()
    assert "certificate:CN=ada" == made.created_by


def test_another_certificate_is_no_operators(house):
    """Browsers show what they have: user and password are asked for all the same."""
    shown = house.server.issue(make_csr("plc-7"), "device").certificate

    refused = house.client.send("GET", PAGE, certificate=shown)
    taken = house.client.send("GET", PAGE, certificate=shown, user=USER)

    assert (401, 200) == (refused.status_code, taken.status_code)
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert 1 == len(house.one_time.list())


def test_an_operator_whose_certificate_is_revoked_is_none():
    """On the very next visit."""
    house = make_house(operators=["operators"])
    house.template("operators")
    record = house.server.issue(make_csr("ada"), "operators")
    revocation = Revocation(house.clock(), RevocationReason.KEY_COMPROMISE)
    house.server.revoke(record, revocation, "test")

    assert 401 == house.client.send("GET", PAGE, certificate=record.certificate).status_code


def test_guessing_the_password_of_an_account_locks_the_address(fetch):
    """Twenty times, whatever user."""
    for number in range(20):
        fetch(user=(f"user-{number}", "guess-guess"))

    answer = fetch()

    assert (429, "60") == (answer.status_code, answer.headers["retry-after"])


def test_an_account_of_ones_own_does_not_buy_further_guesses(fetch):
    """At the password of another one."""
    statuses = []
    for number in range(20):
        statuses += [fetch().status_code, fetch(user=("other", f"guess-{number}")).status_code]

    assert [200, 401] * 20 == statuses
    assert 429 == fetch().status_code


def test_an_account_for_another_template_has_no_permission(house, fetch):
    """In the words that programs look for."""
    made = NdesAccounts(house.server).create("laptops", "test", template="laptop")

    answer = fetch(user=("laptops", made.password))

    assert 403 == answer.status_code
    text = answer.content.decode("utf-16-le")
    assert "You do not have sufficient permission to enroll with SCEP." in text


def test_a_withdrawn_account_knows_nothing_more(house, fetch):
    """And names can be used again."""
    accounts = NdesAccounts(house.server)
    with pytest.raises(Conflict):
        accounts.create(USER[0], "test")
    accounts.withdraw(USER[0], "test")

    assert 401 == fetch().status_code
    assert [] == accounts.list()
    with pytest.raises(NotFound):
        accounts.withdraw(USER[0], "test")


def test_accounts_are_kept_without_their_passwords(house):
    """As passphrases are."""
    with house.server.database.reading() as connection:
        assert USER[1] not in repr(connection.execute(ndes_account.select()).all())
    with pytest.raises(RequestRejected):
        NdesAccounts(house.server).create("a:b", "test")
    NdesAccounts(house.server).create("only", "test", template="laptop", chosen="a" * 8)
    with pytest.raises(NotAllowed):
        NdesAccounts(house.server).authenticate("only", "a" * 8, "device", None)
