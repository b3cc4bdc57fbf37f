"""What the holder of a certificate may do with it: renew it, revoke it, ask when."""

import base64
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.certificates import CertificateQuery, CertificateStatus
from tests.rest.asking import JSON, make_csr


def renew(door, record, csr, certificate=None, headers=(), **more):
    wish = {"csr": base64.b64encode(csr).decode(), **more}
    path = f"/certificates/{record.fingerprint}/renewal"
    shown = certificate or record.certificate
    return door.post(path, wish, headers=headers, certificate=shown)


def revoke(door, record, certificate=None, document=None, **who):
    path = f"/certificates/{record.fingerprint}/revocation"
    shown = record.certificate if certificate is None else certificate
    return door.post(path, document or {"reason": "superseded"}, certificate=shown, **who)


@pytest.fixture
def registrar(door):
    """Let a registration authority speak for the template ``guided``; return both."""
    template = door.template("guided", ("registrars = []", 'registrars = ["registrar"]'))
    return template, door.issue(make_csr("RA of plant 3"), "registrar").certificate


def test_a_certificate_is_renewed_by_showing_it(door):
    """Subject and names stay; the same request again is the same certificate."""
    old = door.issue(make_csr("plc-1", "plc-1.example"))
    csr = make_csr("plc-1", "plc-1.example", key=ec.generate_private_key(ec.SECP256R1()))

    first = renew(door, old, csr)
    again = renew(door, old, csr, headers={"Idempotency-Key": "k"}.items())
    by_the_other_path = door.ask(csr, certificate=old.certificate)

    assert [201, 201, 201] == [one.status_code for one in (first, again, by_the_other_path)]
    assert ("CN=plc-1", ["dns:plc-1.example"]) == (first.json["subject"], first.json["names"])
    assert first.json["serial"] == again.json["serial"] == by_the_other_path.json["serial"]
    assert old.serial != int(first.json["serial"], 16)


def test_the_same_key_is_renewed_again_and_again(door):
    """The request may be the same octets: it is another certificate that is renewed."""
    csr = make_csr("plc-2")
    first = door.issue(csr)

    second = door.record(renew(door, first, csr).json["serial"])
    third = door.record(renew(door, second, csr).json["serial"])

    assert 3 == len({first.serial, second.serial, third.serial})


def test_a_bare_request_renews_too(door):
    """As curl sends a file."""
    old = door.issue(make_csr("plc-3"))
    path = f"/certificates/{old.fingerprint}/renewal?format=der"
    headers = {"Content-Type": "application/pkcs10"}

    answer = door.send(
        "POST", path, make_csr("plc-3"), headers=headers, certificate=old.certificate
    )

    assert 201 == answer.status_code
    assert "CN=plc-3" == x509.load_der_x509_certificate(answer.content).subject.rfc4514_string()


def test_nobody_renews_what_is_somebody_elses(door):
    """A code does not count; another name is refused by the rule."""
    old, other = door.issue(make_csr("plc-4")), door.issue(make_csr("plc-5"))

    assert 403 == renew(door, old, make_csr("plc-4"), other.certificate).status_code
    assert 422 == renew(door, old, make_csr("plc-5")).status_code
    path = f"/certificates/{old.fingerprint}/renewal"
    body = {"csr": base64.b64encode(make_csr("plc-4")).decode()}
    assert 401 == door.post(path, body, user=door.code()).status_code


def test_a_template_may_want_patience(door):
    """Before the window opens it is refused, and the window says when."""
    template = door.template("patient", ("# window", "window"))
    old = door.issue(make_csr("plc-6"), template)

    early = renew(door, old, make_csr("plc-6"))
    window = door.send("GET", f"/certificates/{old.fingerprint}/renewal")

    assert 422 == early.status_code
    assert "too early" in early.json["detail"]
    opens = old.not_after - timedelta(days=90)
    assert f"{opens:%Y-%m-%dT%H:%M:%SZ}" == window.json["suggestedWindow"]["start"]
    assert int(window.headers["retry-after"]) > 0


def test_a_registration_authority_renews_and_revokes_for_others(door, registrar):
    """Twice with one request, too, as what it renews is another one each time."""
    template, registrar_certificate = registrar
    csr = make_csr("plc-7")
    old = door.issue(csr, template)

    first = renew(door, old, csr, registrar_certificate)
    second = renew(door, door.record(first.json["serial"]), csr, registrar_certificate)
    gone = revoke(door, old, registrar_certificate)

    assert [201, 201, 200] == [one.status_code for one in (first, second, gone)]
    assert first.json["serial"] != second.json["serial"]
    assert "revoked" == gone.json["status"]


@pytest.mark.parametrize(
    "reason",
    ["unspecified", "keyCompromise", "affiliationChanged", "superseded", "cessationOfOperation"],
)
def test_a_holder_revokes_the_own_certificate(door, reason):
    """It counts at once: with it nobody is let in any more."""
    record = door.issue(make_csr("plc-8"))

    answer = revoke(door, record, document={"reason": reason})

    assert 200 == answer.status_code
    assert ("revoked", reason) == (answer.json["status"], answer.json["revocation"]["reason"])
    assert 401 == revoke(door, record).status_code
    assert 401 == renew(door, record, make_csr("plc-8")).status_code


def test_an_earlier_certificate_of_the_holder_is_revoked_too(door):
    """Once; then it is revoked already: 409.  Somebody else's is not."""
    old = door.issue(make_csr("plc-9"))
    new, other = door.issue(make_csr("plc-9")), door.issue(make_csr("plc-10"))

    assert 403 == revoke(door, old, other.certificate).status_code
    assert 200 == revoke(door, old, new.certificate).status_code
    assert 409 == revoke(door, old, new.certificate).status_code


@pytest.mark.parametrize("reason", ["certificateHold", "removeFromCRL", "cACompromise", "x", ""])
def test_other_reasons_are_for_people(door, reason):
    """422, and the certificate stays as it is."""
    record = door.issue(make_csr("plc-11"))

    assert 422 == revoke(door, record, document={"reason": reason}).status_code
    assert CertificateStatus.VALID is door.server.certificates.get(record.id).status


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 415),
        (b"", JSON, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"reason=keyCompromise", {}, 415),
    ],
)
def test_a_page_in_a_browser_revokes_nothing(door, body, headers, status):
    """What it may send across sites unasked is no JSON."""
    record = door.issue(make_csr("plc-12"))
    path = f"/certificates/{record.fingerprint}/revocation"

    answer = door.send("POST", path, body, headers=headers, certificate=record.certificate)

    assert status == answer.status_code
    assert CertificateStatus.VALID is door.server.certificates.get(record.id).status


def test_a_template_may_forbid_it(door):
    """The switch is the one of EST's door, and the template has to be open here."""
    closed = door.template("kept", ("self-revocation = true", "self-revocation = false"))
    record = door.issue(make_csr("plc-13"), closed)
    inward = door.template("inward")
    other = door.issue(make_csr("plc-14"), inward)
    door.template(inward, ('"api", ', ""))

    assert 403 == revoke(door, record).status_code
    assert 403 == revoke(door, other).status_code


def test_authorities_are_neither_renewed_nor_revoked_here(door):
    """Their certificates come from ceremonies."""
    holder = door.issue(make_csr("plc-15"))
    own = door.server.certificates.find(CertificateQuery(authority="root"))[0]

    assert 403 == renew(door, own, make_csr("plc-15"), holder.certificate).status_code
    assert 403 == revoke(door, own, holder.certificate).status_code
