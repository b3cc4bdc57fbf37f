"""The page on which people make one-time challenges: who may, what it shows, what it refuses."""

import contextlib
import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest, NotAuthenticated, PikaserverError
from pikaserver.api.issuance import Issued
from pikaserver.api.templates import ScepRules
from pikaserver.testing.client import ServiceClient
from pikaserver_scep.challenges.accounts import NdesAccounts
from pikaserver_scep.challenges.page.forms import Filled, Tokens, filled, read_form
from pikaserver_scep.plugin import register_services
from tests.scep_challenges.house import House, make_csr

PAGE = "/scep/device/challenges"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {**HTML, "Content-Type": "application/x-www-form-urlencoded"}
OURS = {**FORM, "Sec-Fetch-Site": "same-origin"}


def make_house(**settings):
    house = House(**settings)
    house.client = ServiceClient(*register_services(house.server))
    # A password that was made costs a guess nothing, one that was chosen 64 MiB.
    house.user = ("anna", NdesAccounts(house.server).create("anna", "test").password)
    return house


@pytest.fixture
def house():
    return make_house()


def shown(house, **more):
    return house.client.send("GET", PAGE, headers=HTML, user=house.user, **more)


def token(house):
    return re.search(r'name="token" value="([^"]+)"', shown(house).text)[1]


def post(house, headers=OURS, **fields):
    fields = {"token": token(house), **fields}
    body = urlencode(fields).encode()
    return house.client.send("POST", PAGE, body, headers=headers, user=house.user)


def created(house, **fields):
    answer = post(house, deed="create", lifetime="24h", uses="1", **fields)
    assert 200 == answer.status_code, answer.text
    return re.search(r'id="challenge" value="([a-z2-7]{32})"', answer.text)[1], answer


def test_the_form_is_there_for_who_may(house):
    """Strict about scripts and styles, never cached, and its controls have names."""
    answer = shown(house)

    assert 200 == answer.status_code
    assert "no-store" == answer.headers["cache-control"]
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert "same-origin" == answer.headers["referrer-policy"]
    assert not re.search(r"<script|\sstyle=|\son[a-z]+=", answer.text)
    labels = set(re.findall(r'<label for="([^"]+)"', answer.text))
    controls = set(re.findall(r'<(?:input|select|textarea) id="([^"]+)"', answer.text))
    assert {"common_name", "subject", "names", "lifetime", "uses"} == labels == controls
    sheet = house.client.get("/scep/device/challenges/style.css")
    assert "text/css; charset=utf-8" == sheet.headers["content-type"]


def test_a_challenge_is_shown_once_and_works(house):
    """With a QR code, the address, the fingerprints and commands; later only that it is open."""
    secret, answer = created(house, common_name="plc-21")

    assert "no-store" == answer.headers["cache-control"]
    for part in ("<svg", 'id="thumbprint-sha-256"', 'id="thumbprint-sha-1"', "CN=plc-21"):
        assert part in answer.text
    assert secret not in shown(house).text
    assert "CN=plc-21" in shown(house).text
    assert isinstance(house.enroll(house.question(make_csr("plc-21", secret))), Issued)
    assert "No challenge waits" in shown(house).text


def test_what_was_typed_binds_it(house):
    """A whole subject and names, for so many certificates and so long."""
    typed = {"subject": "CN=plc-21, O=Acme", "names": "dns:plc-21.example\nip:192.0.2.21, "}
    post(house, deed="create", lifetime="7d", uses="3", **typed)

    (one,) = house.one_time.still_open("device")
    assert "CN=plc-21,O=Acme, dns:plc-21.example, ip:192.0.2.21" == str(one.bound)
    assert (3, house.clock() + timedelta(days=7)) == (one.uses_left, one.expires_at)


@pytest.mark.parametrize(
    "typed",
    [
        {"uses": "0"},
        {"uses": "-1"},
        {"uses": "٣"},
        {"uses": "9" * 999},
        {"lifetime": "9y"},
        {"subject": "<b>nonsense"},
        {"names": "uri:http://a"},
        {"common_name": "a", "subject": "CN=a"},
        {"common_name": "a" * 201},
    ],
)
def test_what_cannot_be_used_is_shown_again(house, typed):
    """With the reason, and nothing is lost, made, or taken for HTML."""
    answer = post(house, **{"deed": "create", "lifetime": "24h", "uses": "1", **typed})

    assert 422 == answer.status_code
    assert 'role="alert"' in answer.text
    assert "<b>" not in answer.text
    assert () == tuple(house.one_time.list())
    if "common_name" in typed:
        assert f'value="{typed["common_name"]}"' in answer.text


def test_an_open_challenge_is_withdrawn(house):
    """Then its owner gets nothing, and the page says so; a second time it is gone."""
    secret, _ = created(house)
    (one,) = house.one_time.still_open("device")

    answer = post(house, deed="withdraw", id=str(one.id))
    again = post(house, deed="withdraw", id=str(one.id))

    assert (303, f"challenges?withdrawn={one.id}") == (
        answer.status_code,
        answer.headers["location"],
    )
    note = house.client.send("GET", f"{PAGE}?withdrawn={one.id}", headers=HTML, user=house.user)
    assert f"Challenge {one.id} is withdrawn." in note.text
    for odd in ("9" * 5000, "-1", "x"):
        query = urlencode({"withdrawn": odd})
        answer = house.client.send("GET", f"{PAGE}?{query}", headers=HTML, user=house.user)
        assert 400 == answer.status_code
    assert 404 == again.status_code
    with pytest.raises(NotAuthenticated):
        house.enroll(house.question(make_csr("plc-21", secret)))


def test_challenges_of_other_templates_are_out_of_reach(house):
    """Neither shown nor withdrawn from here, by nobody."""
    house.challenge("laptop", common_name="laptop-1")
    (one,) = house.one_time.list()

    assert "laptop-1" not in shown(house).text
    assert 404 == post(house, deed="withdraw", id=str(one.id)).status_code
    assert 404 == house.client.send("DELETE", f"{PAGE}/{one.id}", user=house.user).status_code
    assert 1 == len(house.one_time.still_open("laptop"))


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_page_of_somebody_else_cannot_post(house, headers):
    """Not even with a token that is good, nor in JSON."""
    assert 403 == post(house, headers=FORM | headers, deed="create").status_code
    as_json = house.client.send("POST", PAGE, b"{}", headers=headers, user=house.user)
    assert 403 == as_json.status_code
    assert () == tuple(house.one_time.list())


def test_an_old_browser_is_known_by_its_origin(house):
    """It says from which host the page came."""
    headers = FORM | {"Origin": "https://pki.example", "Host": "pki.example"}

    assert 200 == post(house, headers=headers, deed="create").status_code


def test_a_form_needs_its_token(house):
    """Made here, for this person and template, and not long ago."""
    tokens, now = Tokens(house.server.secrets), house.clock()
    bad = [
        "",
        "nonsense",
        "ä",
        tokens.give("ndes:bert", "device", now),
        tokens.give("ndes:anna", "laptop", now),
        tokens.give("ndes:anna", "device", now - timedelta(hours=9)),
        tokens.give("ndes:anna", "device", now + timedelta(hours=1)),
    ]

    for one in bad:
        assert 403 == post(house, token=one, deed="create").status_code
    assert () == tuple(house.one_time.list())
    good = tokens.give("ndes:anna", "device", now)
    assert 200 == post(house, token=good, deed="create").status_code


def test_who_has_no_password_is_asked_and_locked_out(house):
    """As at the page of NDES: the browser asks, and guesses are counted."""
    nobody = house.client.send("GET", PAGE, headers=HTML)
    wrong = [
        house.client.send("GET", PAGE, headers=HTML, user=("anna", f"guess {number}"))
        for number in range(21)
    ]

    assert (401, True) == (nobody.status_code, "www-authenticate" in nobody.headers)
    assert "text/html; charset=utf-8" == nobody.headers["content-type"]
    assert (401, 429) == (wrong[0].status_code, wrong[-1].status_code)
    assert 429 == shown(house).status_code


def test_networks_and_templates_count_as_at_the_page_of_ndes():
    """Elsewhere, without the method, or without SCEP there is no page."""
    house = make_house(
        templates={
            "device": {"ndes-networks": ["198.51.100.0/24"]},
            "laptop": {"methods": ["ndes"]},
        }
    )
    house.template("closed", scep=ScepRules(enabled=False))

    def status(template):
        path = f"/scep/{template}/challenges"
        return house.client.send("GET", path, headers=HTML, user=house.user).status_code

    assert [403, 404, 404, 404] == [
        status(one) for one in ("device", "laptop", "closed", "nothing")
    ]


def test_programs_see_and_withdraw_as_well(house):
    """In JSON: whatever the page can do, a program can."""
    made = house.client.send("POST", PAGE, b'{"names": ["dns:plc.example"]}', user=house.user).json

    listed = house.client.send("GET", PAGE, user=house.user).json["challenges"]
    gone = house.client.send("DELETE", f"{PAGE}/{made['id']}", user=house.user)

    assert [(made["id"], ["dns:plc.example"])] == [(one["id"], one["names"]) for one in listed]
    assert made["challenge"] not in str(listed)
    assert 204 == gone.status_code
    assert [] == house.client.send("GET", PAGE, user=house.user).json["challenges"]


def test_every_deed_is_in_the_trail_by_name(house):
    """Of who was logged in."""
    created(house)
    (one,) = house.one_time.still_open("device")
    post(house, deed="withdraw", id=str(one.id))

    assert "ndes:anna" == one.created_by
    assert {("scep.challenge-created", "ndes:anna"), ("scep.challenge-withdrawn", "ndes:anna")} <= {
        (event, actor) for event, actor, _ in house.server.audit.lines
    }


@given(st.binary(max_size=200))
def test_any_body_is_a_form_or_is_refused(body):
    """Nothing else is raised, whatever was typed."""
    try:
        typed = filled(read_form(body))
    except MalformedRequest:
        return
    for value in ("how_long", "how_many", "name_list"):
        with contextlib.suppress(PikaserverError):
            getattr(typed, value)


@given(st.builds(Filled, uses=st.text(max_size=30), lifetime=st.text(max_size=5), names=st.text()))
def test_any_words_are_numbers_or_are_refused(typed):
    """The same for what a browser would never send."""
    try:
        assert 1 <= typed.how_many <= 1000
        assert typed.how_long
    except PikaserverError:
        pass
