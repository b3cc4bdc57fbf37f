"""A classical and an ML-DSA certificate for one request (RFC 9763)."""

import base64
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from cryptography import x509

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.asn1.cms import read_certificates_only
from pikaserver.asn1.related_certificates import related_hash
from tests.road.pair_ground import document, first_der, second_der


@pytest.fixture(scope="session")
def templates(door):
    """Let ``both`` issue pairs, and ``both-later`` after an approval."""
    save = door.server.templates.save
    save("quantum", document(), "test")
    save("both", document('pair = "quantum"', mode="refused"), "test")
    save("both-later", document('pair = "quantum"', mode="refused", approval=True), "test")


def text(der):
    return base64.b64encode(der).decode()


def ask(door, user, first, second, template="both", **more):
    return door.ask(first, user, template=template, pairedCsr=text(second), **more)


def certificates(answer):
    return [
        x509.load_pem_x509_certificate(one["certificate"].encode())
        for one in (answer.json, answer.json["paired"])
    ]


@pytest.mark.usefixtures("templates")
def test_one_request_brings_both(door):
    """With a code for one; the second says which one the first is, and both are linked."""
    user, first, second = door.code("both"), first_der("plc-1"), second_der("plc-1")

    answer = ask(door, user, first, second)

    assert 201 == answer.status_code
    classical, quantum = certificates(answer)
    assert ("ec-p256", "ml-dsa-65") == (
        answer.json["keyType"],
        answer.json["paired"]["keyType"],
    )
    assert classical.subject == quantum.subject
    assert related_hash(quantum).fits(door.record(answer.json["serial"]).certificate)
    serial, other = answer.json["serial"], answer.json["paired"]["serial"]
    assert f"</api/v1/certificates/{other}>; rel=alternate" == answer.headers["link"]
    assert f"/api/v1/certificates/{serial}" == answer.headers["location"]
    for one, bound in ((serial, other), (other, serial)):
        found = door.send("GET", f"/certificates/{one}").json["related"]
        assert [bound] == [line["serial"] for line in found]
    assert 401 == ask(door, user, first_der("plc-2"), second_der("plc-2")).status_code


@pytest.mark.usefixtures("templates")
def test_the_same_pair_is_one_pair(door):
    """Asked again, with a key or without; another second request with the key is refused."""
    user, first, second = door.code("both"), first_der("plc-3"), second_der("plc-3")
    key = {"Idempotency-Key": "pair"}.items()
    before = door.issued()

    answers = [ask(door, user, first, second, headers=headers) for headers in (key, (), key)]
    other = ask(door, user, first, second_der("plc-3"), headers=key)

    assert {201} == {one.status_code for one in answers}
    assert 1 == len({(one.json["serial"], one.json["paired"]["serial"]) for one in answers})
    assert before + 2 == door.issued()
    assert 422 == other.status_code


@pytest.mark.usefixtures("templates")
@pytest.mark.parametrize(("form", "count"), [("pem", 2), ("der", 1), ("pkcs7", 3)])
def test_other_forms_have_what_they_can_hold(door, form, count):
    """A chain is the first one's; PKCS#7 holds both; the other one is linked."""
    body = {
        "template": "both",
        "csr": text(first_der("plc-4")),
        "pairedCsr": text(second_der("plc-4")),
    }

    answer = door.post(f"/certificates?format={form}", body, user=door.code("both"))

    read = {
        "pem": lambda: x509.load_pem_x509_certificates(answer.content),
        "der": lambda: [x509.load_der_x509_certificate(answer.content)],
        "pkcs7": lambda: read_certificates_only(answer.content),
    }[form]
    assert count == len(read())
    path = answer.headers["link"].partition(">")[0].removeprefix("</api/v1")
    assert "ml-dsa-65" == door.send("GET", path).json["keyType"]


@pytest.mark.usefixtures("templates")
def test_a_pair_that_is_none_spends_nothing(door):
    """Another subject, the same key, a template without pairs: neither is issued."""
    user, first = door.code("both"), first_der("plc-5")
    before = door.issued()

    assert 422 == ask(door, user, first, second_der("plc-6")).status_code
    assert 422 == ask(door, user, first, first).status_code
    alone = ask(door, door.code(), first, second_der("plc-5"), template="device")
    assert 422 == alone.status_code
    assert before == door.issued()
    assert 201 == ask(door, user, first, second_der("plc-5")).status_code


@pytest.mark.usefixtures("templates")
def test_a_pair_waits_as_one_request(door):
    """202, one approval, two links; asked again it is both."""
    user = door.code("both-later")
    first, second = first_der("plc-7"), second_der("plc-7")

    waiting = ask(door, user, first, second, "both-later")
    again = ask(door, user, first, second, "both-later")
    door.server.requests.decide(waiting.json["id"], "op", approve=True)
    door.server.issue_approved(waiting.json["id"])
    done = door.send("GET", f"/requests/{waiting.json['id']}", user=user)
    fetched = ask(door, user, first, second, "both-later")

    assert [202, 202] == [waiting.status_code, again.status_code]
    assert waiting.json["id"] == again.json["id"]
    links = [f"/api/v1/certificates/{fetched.json['serial']}"]
    links.append(f"/api/v1/certificates/{fetched.json['paired']['serial']}")
    assert ("issued", links) == (done.json["state"], done.json["links"]["certificates"])


@pytest.mark.usefixtures("templates")
def test_a_pair_of_which_one_is_revoked_is_no_more_handed_out(door):
    """409, whichever it is."""
    user, first, second = door.code("both"), first_der("plc-8"), second_der("plc-8")
    pair = ask(door, user, first, second).json
    revocation = Revocation(door.clock(), RevocationReason.SUPERSEDED)
    door.server.for_plugins.revoke(door.record(pair["paired"]["serial"]), revocation, "test")

    assert 409 == ask(door, user, first, second).status_code


@pytest.mark.usefixtures("templates")
def test_a_pair_is_renewed_as_a_pair(door):
    """The first one's holder shows it, and asks for both anew."""
    pair = ask(door, door.code("both"), first_der("plc-9"), second_der("plc-9")).json
    shown = door.record(pair["serial"]).certificate
    wish = {"csr": text(first_der("plc-9")), "pairedCsr": text(second_der("plc-9"))}

    answer = door.post(f"/certificates/{pair['serial']}/renewal", wish, certificate=shown)

    assert 201 == answer.status_code
    assert related_hash(certificates(answer)[1]).fits(
        door.record(answer.json["serial"]).certificate
    )
    assert 4 == len(
        {one["serial"] for one in (pair, pair["paired"], answer.json, answer.json["paired"])}
    )


@pytest.mark.usefixtures("templates")
def test_two_at_once_get_one_pair(door):
    """Who comes second gets it, or has to come back; the code was for one."""
    user, first, second = door.code("both"), first_der("plc-10"), second_der("plc-10")
    before, start = door.issued(), Barrier(2)

    def once():
        start.wait()
        return ask(door, user, first, second)

    with ThreadPoolExecutor(2) as pool:
        answers = [one.result() for one in [pool.submit(once) for _ in range(2)]]

    assert {one.status_code for one in answers} <= {201, 503}
    last = ask(door, user, first, second)
    assert 201 == last.status_code
    assert before + 2 == door.issued()


@pytest.mark.usefixtures("templates")
def test_templates_tell_of_pairs(door):
    """By the name of the second certificate's template."""
    items = door.send("GET", "/templates", user=door.code("both")).json["items"]

    assert [("both", "quantum")] == [(one["name"], one["pair"]) for one in items]
