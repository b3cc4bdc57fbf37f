"""The NDES page, parsed as real programs parse Microsoft's, and challenges as JSON."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import (
    Conflict,
    MalformedRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RequestRejected,
)
from pikaserver.api.issuance import Issued
from pikaserver.api.templates import ScepRules
from pikaserver.testing.client import ServiceClient
from pikaserver_scep.challenges.accounts import NdesAccounts
from pikaserver_scep.challenges.basic import read_basic
from pikaserver_scep.challenges.ndes_page import thumbprint
from pikaserver_scep.challenges.secrets import hashed
from pikaserver_scep.challenges.tables import ndes_account
from pikaserver_scep.plugin import register_services
from tests.scep_challenges.house import House, make_csr

PAGE = "/scep/device/mscep_admin/"
USER = ("EXAMPLE\\mdm", "open sesame, please")


def fleet(page):
    """Find the password as Fleet does: UTF-16, then one expression."""
    return re.search(
        r"(?i)The enrollment challenge password is: <B> (?P<password>\S*)", page.decode("utf-16")
    )["password"]


def zentral(page):
    """Find the password as Zentral does."""
    return re.search(r"challenge password is: <B> ([A-Z0-9]{16,32}) </B>", page.decode("utf-16"))[1]


def manage_engine(page):
    """Find the password as ManageEngine's MDM does: between two sentences."""
    text = page.decode("utf-16-le")
    start = "The enrollment challenge password is: <B> "
    end = text.index(" </B> <P> This password can be used only once")
    return text[text.index(start) + len(start) : end]


def power_shell(page):
    """Find the password as PSNDESEnrollment does: the first long run of hexadecimal digits."""
    words = page.decode("utf-16-le").split()
    return next(word for word in words if re.match(r"^[A-F0-9]{16}", word))


def tags(page):
    """Find the password as a script that splits at tags."""
    parts = page.decode("utf-16-le").split(">")
    (at,) = [i for i, part in enumerate(parts) if "challenge password is: <B" in part]
    return parts[at + 1].strip("</B").strip()


def okta(page):
    """Find the password as Okta's clients do, who know no UTF-16."""
    text = page.decode("windows-1252")
    return re.search(r"challenge password is: <B> ([a-zA-Z0-9_\-]+) </B>", text)[1]


def add_account(house):
    """Add the account of `USER`, whose password is hashed quickly, as one that we made."""
    NdesAccounts(house.server).create(USER[0], "test")
    kept = hashed(USER[1], house.server.entropy, chosen=False)
    with house.server.database.transaction() as connection:
        connection.execute(ndes_account.update().values(salt=kept.salt, hash=kept.hash))


def make_house(**ndes):
    house = House(ndes=ndes, templates={"device": {"methods": ["ndes", "one-time"]}, "laptop": {}})
    add_account(house)
    house.client = ServiceClient(*register_services(house.server))
    return house


@pytest.fixture
def house():
    return make_house()


@pytest.fixture
def fetch(house):
    return lambda path=PAGE, user=USER, **more: house.client.send("GET", path, user=user, **more)


@pytest.mark.parametrize("program", [fleet, zentral, manage_engine, power_shell, tags])
def test_programs_find_the_password_and_it_enrols_once(house, fetch, program):
    """As on Microsoft's page; it is good for one certificate."""
    answer = fetch()
    password = program(answer.content)
    issued = house.enroll(house.question(make_csr(password=password)))

    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])
    assert set(password) <= set(string.digits + "ABCDEF")
    assert isinstance(issued, Issued)
    with pytest.raises(NotAuthenticated):
        house.enroll(house.question(make_csr(password=password), transaction="t-2"))


def test_it_is_utf_16_as_that_of_windows_unless_somebody_asks_for_utf_8(house, fetch):
    """By header, or for all by setting."""
    usual, wanted = fetch(), fetch(headers={"Accept-Charset": "utf-8"})
    house = make_house(encoding="utf-8")
    always = house.client.send("GET", PAGE, user=USER)

    assert "text/html; charset=utf-16" == usual.headers["content-type"]
    assert b"<\0H\0" == usual.content[:4]
    for answer in (wanted, always):
        assert "text/html; charset=utf-8" == answer.headers["content-type"]
        assert 32 == len(okta(answer.content))


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256"])
def test_it_shows_the_thumbprint_of_the_authority_in_groups(name):
    """Of eight digits, so that nobody takes it for the password."""
    house = make_house(thumbprint=name)
    text = house.client.send("GET", PAGE, user=USER).content.decode("utf-16-le")

    certificate = house.server.authorities.get("issuing").generations[0].certificate
    shown = re.search(r"for the CA certificate is: <B> ([A-F0-9 ]+) </B>", text)[1]
    assert thumbprint(certificate, name) == shown
    assert {8} == {len(group) for group in shown.split()}


def test_each_visit_has_another_password_that_lasts_an_hour(house, fetch):
    """And so the page says."""
    first, second = (fetch().content for _ in range(2))
    (row, _) = house.one_time.list()

    assert fleet(first) != fleet(second)
    assert "will expire within 60 minutes" in first.decode("utf-16-le")
    assert 3600 == (row.expires_at - house.clock()).total_seconds()
    assert ("ndes", f"ndes:{USER[0]}") == (row.method, row.created_by)


@pytest.mark.parametrize(
    "path", ["/CertSrv/mscep_admin/", "/CertSrv/mscep_admin", "/certsrv/mscep_admin/", PAGE[:-1]]
)
def test_it_is_found_where_programs_look(fetch, path):
    """With and without the last slash, as Windows does not mind."""
    assert fleet(fetch(path).content)


def test_it_may_be_posted_to(house):
    """PowerShell's scripts do."""
    answer = house.client.send("POST", PAGE, b"operation=GetCACaps", user=USER)

    assert fleet(answer.content)


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


def test_too_many_open_passwords_are_said_as_ndes_says_it():
    """A program that fetches and never enrols is stopped, in words that programs look for."""
    house = make_house(**{"most-open": 2})
    pages = [house.client.send("GET", PAGE, user=USER).content for _ in range(3)]

    assert "The password cache is full." in pages[2].decode("utf-16-le")
    assert 2 == len(house.one_time.list())


@pytest.mark.parametrize(
    "changes",
    [
        {"enabled": False},
        {"doors": frozenset({"est"})},
        {"scep": ScepRules(enabled=False)},
    ],
)
def test_there_is_no_page_where_there_is_no_scep(house, fetch, changes):
    """Whoever asks: 404, and no password."""
    house.template("device", **changes)

    assert 404 == fetch().status_code
    assert 404 == fetch("/scep/laptop/mscep_admin").status_code
    assert 0 == len(house.one_time.list())


def test_the_page_has_a_list_of_networks_of_its_own():
    """Devices may come from anywhere, programs from one place."""
    house = House(templates={"device": {"methods": ["ndes"], "ndes-networks": ["198.51.100.0/24"]}})
    add_account(house)
    services = register_services(house.server)

    here = ServiceClient(*services).send("GET", PAGE, user=USER)
    there = ServiceClient(*services, address="198.51.100.9").send("GET", PAGE, user=USER)

    assert (403, 200) == (here.status_code, there.status_code)
    assert house.desk.check(house.question(make_csr(password=fleet(there.content))))


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


def test_programs_may_have_challenges_as_json(house):
    """Bound to a name where they know it."""
    answer = house.client.send(
        "POST", "/scep/device/challenges", b'{"commonName": "plc-21"}', user=USER
    )
    secret = answer.json["challenge"]

    assert (201, "no-store") == (answer.status_code, answer.headers["cache-control"])
    assert "2026-01-02T13:00:00Z" == answer.json["expiresAt"]
    assert isinstance(house.enroll(house.question(make_csr("plc-21", secret))), Issued)


@pytest.mark.parametrize(
    ("body", "user", "path", "status"),
    [
        (b"{}", None, "device", 401),
        (b"[]", USER, "device", 400),
        (b'{"uses": 9}', USER, "device", 400),
        (b'{"lifetimeSeconds": 1}', USER, "device", 400),
        (b"[" * 9999, USER, "device", 400),
        (b"{}", USER, "nothing", 404),
    ],
)
def test_whoever_may_not_or_cannot_ask_gets_no_challenge(house, body, user, path, status):
    """In JSON as on the page."""
    answer = house.client.send("POST", f"/scep/{path}/challenges", body, user=user)

    assert status == answer.status_code
    assert 0 == len(house.one_time.list())


@given(header=st.one_of(st.text(max_size=60), st.text(max_size=60).map("Basic {}".format)))
def test_any_authorization_is_read_or_refused(header):
    """Nothing else is ever raised."""
    try:
        assert read_basic(header) is None or len(read_basic(header)) == 2
    except MalformedRequest:
        assert header.lower().startswith("basic ")
