"""Templates, enrolment codes and requests."""

import threading
from datetime import timedelta

import pytest

from pikaserver.api.errors import Conflict, Decision, NotFound
from pikaserver.api.issuance import RequestState
from pikaserver.storage import codes, requests, templates
from pikaserver.storage.codes import NewCode
from pikaserver.storage.requests import NewRequest

DAY = timedelta(days=1)


def test_an_edit_is_a_new_version(house):
    """Old versions stay readable; the same text again is no edit."""
    with house.database.transaction() as connection:
        assert 2 == templates.save(connection, "web", "a = 2", at=house.now, by="eve")
        assert 2 == templates.save(connection, "web", "a = 2", at=house.now, by="bob")
        assert 3 == templates.save(connection, "web", "a = 1", at=house.now, by="bob")

    with house.database.reading() as connection:
        current = templates.get(connection, "web")
        assert (3, "a = 1", True) == (current.version, current.document, current.enabled)
        assert "a = 2" == templates.get(connection, "web", 2).document
        history = templates.versions(connection, "web")
        assert ["device", "web"] == templates.names(connection)
    assert [(3, "bob"), (2, "eve"), (1, "tests")] == [(v.version, v.created_by) for v in history]


def test_a_template_is_closed_and_opened(house):
    """Every version of it is closed at once."""
    with house.database.transaction() as connection:
        templates.set_enabled(connection, "web", enabled=False)
        assert not templates.get(connection, "web").enabled
        assert not templates.get(connection, "web", 1).enabled
        assert templates.get(connection, "device").enabled
        templates.set_enabled(connection, "web", enabled=True)
        assert templates.get(connection, "web").enabled


@pytest.mark.parametrize(
    "deed",
    [
        lambda connection: templates.get(connection, "none"),
        lambda connection: templates.get(connection, "web", 9),
        lambda connection: templates.versions(connection, "none"),
        lambda connection: templates.set_enabled(connection, "none", enabled=True),
    ],
)
def test_an_unknown_template_is_named(house, deed):
    """The sentence tells which one was asked for."""
    with (
        pytest.raises(NotFound, match=r"there is no template '(none|web)'"),
        house.database.transaction() as connection,
    ):
        deed(connection)


@pytest.fixture
def code(house):
    """A code for two certificates and one day."""

    def insert(**changes):
        values = {
            "user": "4711",
            "code_hash": b"h" * 32,
            "template_id": house.device,
            "uses_left": 2,
            "expires_at": house.now + DAY,
            "common_name": None,
            "created_at": house.now,
            "created_by": "tests",
        }
        with house.database.transaction() as connection:
            return codes.insert(connection, NewCode(**(values | changes)))

    return insert


def spend(house, code_id, now=None):
    with house.database.transaction() as connection:
        return codes.spend(connection, code_id, now or house.now)


def test_a_code_is_good_for_so_many_uses(house, code):
    """Sixteen at once: as many succeed as the code has uses."""
    made = code(uses_left=3)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(spend(house, made))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [False] * 13 + [True] * 3 == sorted(results)


def test_a_refused_deed_gives_the_use_back(house, code):
    """The code is spent in the transaction of the intent, or not at all."""
    made = code(uses_left=1)

    def spend_in_vain():
        with house.database.transaction() as connection:
            assert codes.spend(connection, made, house.now)
            templates.get(connection, "none")

    with pytest.raises(NotFound):
        spend_in_vain()

    assert spend(house, made)


def test_a_code_ends(house, code):
    """It is useless from its last moment on, and after it was withdrawn."""
    made = code()
    other = code(user="4712", common_name="plc-21")

    assert not spend(house, made, house.now + DAY)
    assert spend(house, made, house.now + DAY - timedelta(microseconds=1))
    with house.database.transaction() as connection:
        assert codes.withdraw(connection, "4711", house.now)
        assert not codes.withdraw(connection, "4711", house.now)
        assert not codes.withdraw(connection, "nobody", house.now)
    assert not spend(house, made)
    with house.database.transaction() as connection:
        codes.restore(connection, made)  # of a request whose key went away meanwhile
    assert not spend(house, made)
    assert spend(house, other)
    with house.database.reading() as connection:
        assert ["4712", "4711"] == [row.user for row in codes.list(connection)]
        found = codes.find(connection, "4712")
        assert codes.find(connection, "nobody") is None
    assert ("device", "plc-21", 1, b"h" * 32) == (
        found.template,
        found.common_name,
        found.uses_left,
        found.code_hash,
    )


def test_a_user_has_one_code(code):
    """The name is what the client logs in with."""
    code()

    with pytest.raises(Conflict, match="'4711'"):
        code()


@pytest.fixture
def request_of(house):
    """Store requests that differ in what the test names."""

    def insert(**changes):
        values = {
            "template_id": house.web,
            "template_version": 1,
            "door": "est",
            "requester": "code:4711",
            "method": "code",
            "csr": b"csr",
            "csr_hash": "aa",
            "key_hash": "bb",
            "subject": "CN=a",
            "names": ("dns:a", "ip:10.0.0.1"),
            "renews_id": None,
            "validity": timedelta(days=3, seconds=1),
            "transaction": None,
            "trace": (Decision("approval", "web", allowed=True, why="a person decides"),),
            "created_at": house.now,
        }
        with house.database.transaction() as connection:
            return requests.insert(connection, NewRequest(**(values | changes)))

    return insert


def test_a_request_is_read_as_it_was_stored(house, request_of):
    """With its trace, for whoever decides, and for the authority that goes on."""
    made = request_of()

    with house.database.reading() as connection:
        record = requests.get(connection, made)
        details = requests.details(connection, made)
        for read in (requests.get, requests.details):
            with pytest.raises(NotFound):
                read(connection, made + 1)

    assert (RequestState.PENDING, "web", ("dns:a", "ip:10.0.0.1")) == (
        record.state,
        record.template,
        record.names,
    )
    assert (timedelta(days=3, seconds=1), "code") == (details.validity, details.method)
    assert (Decision("approval", "web", allowed=True, why="a person decides"),) == details.trace


def test_the_same_request_is_found_again(house, request_of):
    """A client that polls sends its CSR again; somebody else's equal CSR is another request."""
    request_of()
    newest = request_of(validity=None)
    request_of(requester="code:4712")

    with house.database.reading() as connection:
        same = {"requester": "code:4711", "template": "web", "renews_id": None}
        assert newest == requests.find(connection, "aa", **same).id
        assert requests.find(connection, "ab", **same) is None
        assert requests.find(connection, "aa", **same | {"template": "device"}) is None
        assert requests.details(connection, newest).validity is None


def test_a_request_is_decided_once(house, request_of):
    """The row count decides between two approvers."""
    made = request_of()

    def decide(state, by):
        with house.database.transaction() as connection:
            return requests.decide(connection, made, state, by=by, at=house.now, comment="ok")

    assert decide(RequestState.APPROVED, "eve")
    assert not decide(RequestState.DECLINED, "bob")
    with house.database.reading() as connection:
        record = requests.get(connection, made)
    assert (RequestState.APPROVED, "eve", "ok") == (
        record.state,
        record.decided_by,
        record.comment,
    )


def test_only_an_approved_request_gets_a_certificate(house, request_of):
    """And only one."""
    made, certificate_id = request_of(), house.issued(1)

    def attach():
        with house.database.transaction() as connection:
            requests.attach_certificate(connection, made, certificate_id)

    with pytest.raises(Conflict):
        attach()
    with house.database.transaction() as connection:
        requests.decide(connection, made, RequestState.APPROVED, by="eve", at=house.now)
        assert requests.claim(connection, made)
        assert not requests.claim(connection, made)
    attach()
    with pytest.raises(Conflict):
        attach()
    with house.database.reading() as connection:
        record = requests.get(connection, made)
    assert (RequestState.ISSUED, certificate_id) == (record.state, record.certificate_id)


def test_requests_are_listed_by_state(house, request_of):
    """Newest first, page by page."""
    made = [request_of() for _ in range(4)]
    with house.database.transaction() as connection:
        requests.decide(connection, made[1], RequestState.DECLINED, by="eve", at=house.now)

    def listed(*state, **page):
        with house.database.reading() as connection:
            return [record.id for record in requests.list(connection, *state, **page)]

    assert made[::-1] == listed()
    assert [made[1]] == listed(RequestState.DECLINED)
    assert [made[3], made[2]] == listed(RequestState.PENDING, limit=2)
    assert [made[0]] == listed(RequestState.PENDING, after=made[2])
