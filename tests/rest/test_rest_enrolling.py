"""Certificates are asked for: by whom, in which form, and never twice."""

import base64
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.asn1.cms import read_certificates_only
from tests.rest.asking import JSON, make_csr, pem_request

BARE = {"Content-Type": "application/pkcs10"}


def key(name):
    return {"Idempotency-Key": name}.items()


def test_a_code_buys_a_certificate(door):
    """201, where it stays, what it says, and how that came."""
    csr = make_csr("plc-1", "plc-1.example")

    answer = door.ask(csr, door.code())

    assert 201 == answer.status_code
    assert f"/api/v1/certificates/{answer.json['serial']}" == answer.headers["location"]
    certificate = x509.load_pem_x509_certificate(answer.json["certificate"].encode())
    assert certificate.public_key() == x509.load_der_x509_csr(csr).public_key()
    assert ("CN=plc-1", ["dns:plc-1.example"], "valid", "ec-p256") == tuple(
        answer.json[name] for name in ("subject", "names", "status", "keyType")
    )
    assert f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}" == answer.json["notAfter"]
    issuer = x509.load_pem_x509_certificate(answer.json["chain"][0].encode())
    certificate.verify_directly_issued_by(issuer)
    assert 1 == len(answer.json["chain"])
    assert "proof" in {line["rule"] for line in answer.json["decisions"]}
    assert ("api", "plc-1") == (
        door.record(answer.json["serial"]).door,
        answer.json["subject"].partition("=")[2],
    )


def test_a_request_comes_in_pem_too(door):
    """As openssl req writes it; the body's white space does not matter either."""
    csr = make_csr("plc-2")
    wish = {"template": "device", "csr": pem_request(csr)}

    answer = door.post("/certificates", wish, user=door.code())

    assert 201 == answer.status_code


@pytest.mark.parametrize(
    "form", [bytes, base64.b64encode, base64.encodebytes, lambda der: pem_request(der).encode()]
)
def test_a_request_comes_alone(door, form):
    """application/pkcs10: DER, base64 or PEM, and the template in the query."""
    path = "/certificates?template=device&validity=30d"

    answer = door.send("POST", path, form(make_csr("plc-3")), headers=BARE, user=door.code())

    assert 201 == answer.status_code
    certificate = x509.load_pem_x509_certificate(answer.json["certificate"].encode())
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert 30 == round(lifetime / timedelta(days=1))


@pytest.mark.parametrize("by", ["query", "header"])
@pytest.mark.parametrize(
    ("form", "media_type", "count"),
    [
        ("pem", "application/pem-certificate-chain", 2),
        ("der", "application/pkix-cert", 1),
        ("pkcs7", "application/pkcs7-mime", 2),
    ],
)
def test_the_answer_has_the_form_that_is_wanted(door, by, form, media_type, count):
    """By ?format= or by Accept: the certificate first, then its chain without the root."""
    query = f"&format={form}" if by == "query" else ""
    accept = {"Accept": media_type if by == "header" else "application/json"}
    csr = make_csr(f"plc-{by}-{form}")

    answer = door.send(
        "POST",
        f"/certificates?template=device{query}",
        csr,
        headers={**BARE, **accept},
        user=door.code(),
    )

    assert (201, media_type) == (
        answer.status_code,
        answer.headers["content-type"].partition(";")[0],
    )
    found = {
        "pem": x509.load_pem_x509_certificates,
        "der": lambda octets: [x509.load_der_x509_certificate(octets)],
        "pkcs7": lambda octets: [
            x509.load_der_x509_certificate(one) for one in read_certificates_only(octets)
        ],
    }[form](answer.content)
    assert count == len(found)
    assert found[0].public_key() == x509.load_der_x509_csr(csr).public_key()


def test_a_form_that_nobody_has_issues_nothing(door):
    """406, before the code is spent."""
    user, csr = door.code(), make_csr("plc-4")
    before = door.issued()

    refused = door.ask(csr, user, headers={"Accept": "text/html"}.items())
    malformed = door.send("POST", "/certificates?format=gif", b"{}", headers=JSON, user=user)

    assert (406, 400) == (refused.status_code, malformed.status_code)
    assert before == door.issued()
    assert 201 == door.ask(csr, user).status_code


def test_the_same_request_is_one_certificate(door):
    """Whether or not it has an idempotency key; the code is spent once."""
    user, csr = door.code(uses=1), make_csr("plc-5")
    before = door.issued()

    answers = [
        door.ask(csr, user, headers=headers)
        for headers in ((), (), key("one"), key('"one"'), key("another"))
    ]

    assert {201} == {answer.status_code for answer in answers}
    assert 1 == len({answer.json["serial"] for answer in answers})
    assert before + 1 == door.issued()
    assert 401 == door.ask(make_csr("plc-6"), user).status_code


def test_the_lifetime_of_a_request_that_is_repeated_is_that_of_the_first(door):
    """Another wish for the same request never makes a second certificate."""
    user, csr = door.code(uses=2), make_csr("plc-7")

    first = door.ask(csr, user, validity="60d")
    second = door.ask(csr, user, validity="30d")

    assert first.json["serial"] == second.json["serial"]


def test_an_idempotency_key_stands_for_one_request_for_a_day(door):
    """Another one with it is refused: 422; somebody else may have the same key."""
    user = door.code(uses=3)
    first = door.ask(make_csr("plc-8"), user, headers=key("k"))
    other = make_csr("plc-9")

    refused = door.ask(other, user, headers=key("k"))
    of_somebody = door.ask(make_csr("plc-10"), door.code(), headers=key("k"))
    door.clock.advance(timedelta(hours=24))
    later = door.ask(other, user, headers=key("k"))

    assert [201, 422, 201, 201] == [one.status_code for one in (first, refused, of_somebody, later)]
    assert "/api/v1/problems/idempotency-key-reused" == refused.json["type"]


def test_another_lifetime_is_another_request_for_a_key(door):
    """The key speaks of the whole body."""
    user, csr = door.code(), make_csr("plc-11")
    assert 201 == door.ask(csr, user, headers=key("v"), validity="60d").status_code

    assert 422 == door.ask(csr, user, headers=key("v"), validity="30d").status_code


@pytest.mark.parametrize("name", ["", '""', "x" * 256, "\t"])
def test_a_key_that_is_none_is_refused(door, name):
    """1 to 255 printable characters."""
    answer = door.ask(make_csr("plc-12"), door.code(), headers=key(name))

    assert 400 == answer.status_code


def test_what_was_revoked_is_not_issued_again(door):
    """Nor handed out as if it were fresh: 409."""
    user, csr = door.code(uses=2), make_csr("plc-13")
    record = door.record(door.ask(csr, user).json["serial"])
    revocation = Revocation(door.clock(), RevocationReason.KEY_COMPROMISE)
    door.server.for_plugins.revoke(record, revocation, "test")

    answer = door.ask(csr, user)

    assert 409 == answer.status_code
    assert "is revoked" in answer.json["detail"]


def test_templates_decide(door):
    """Another template than the code's, one that is not there, a closed door, a rule."""
    closed = door.template("closed", ('"api", ', ""))
    fixed = door.template(
        "fixed",
        ("overridable = true", "overridable = false"),
        ('maximum = "10y"', 'maximum = "1y"'),
    )
    user = door.code()

    def status(**wish):
        return door.ask(make_csr("plc-14"), wish.pop("user", user), **wish).status_code

    assert 403 == status(template="web")
    assert 404 == status(template="nowhere")
    assert 422 == status(template=closed, user=door.code(closed))
    assert 422 == status(template=fixed, user=door.code(fixed), validity="30d")
    assert 422 == status(validity="99y")
    assert 201 == status()


def test_a_refusal_tells_rule_by_rule(door):
    """Its requester may know, and nothing was spent."""
    user = door.code(common_name="plc-15")

    answer = door.ask(make_csr("plc-16"), user)

    assert 422 == answer.status_code
    assert "/api/v1/problems/request-rejected" == answer.json["type"]
    assert [False] == [line["allowed"] for line in answer.json["decisions"][-1:]]
    assert 201 == door.ask(make_csr("plc-15"), user).status_code


def test_nobody_is_let_in_without_a_credential(door):
    """401 and a challenge; a wrong code is one, too."""
    nobody = door.ask(make_csr("plc-17"))
    wrong = door.ask(make_csr("plc-17"), ("device", "wrong"))

    assert [401, 401] == [nobody.status_code, wrong.status_code]
    assert 'Basic realm="pikaserver", charset="UTF-8"' == nobody.headers["www-authenticate"]


def test_who_guesses_is_locked_out(door):
    """After five wrong codes for a user, by the very count of the other doors."""
    user, _ = door.code()

    answers = [door.ask(make_csr("plc-18"), (user, "wrong")).status_code for _ in range(6)]

    assert [401] * 5 + [429] == answers


def test_a_certificate_asks_for_its_successor(door):
    """Subject and names stay, the key may change; by this path it is a renewal, too."""
    old = door.issue(make_csr("plc-19"))
    csr = make_csr("plc-19", key=ec.generate_private_key(ec.SECP256R1()))

    answer = door.ask(csr, certificate=old.certificate)
    other = door.ask(make_csr("plc-20"), certificate=old.certificate)

    assert [201, 422] == [answer.status_code, other.status_code]
