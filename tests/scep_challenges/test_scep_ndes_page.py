"""The NDES page, parsed as real programs parse Microsoft's, and challenges as JSON."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import (
    MalformedRequest,
    NotAuthenticated,
)
from pikaserver.api.issuance import Issued
from pikaserver.api.templates import ScepRules
from pikaserver.testing.client import ServiceClient
from pikaserver_scep.challenges.basic import read_basic
from pikaserver_scep.challenges.ndes_page import thumbprint
from pikaserver_scep.plugin import register_services
from tests.scep_challenges.house import House, make_csr
from tests.scep_challenges.ndes import PAGE, USER, add_account, fleet, make_house


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


@pytest.fixture
def house():
    return make_house()


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
