"""What changes between the steps of an order, and what several orders do to each other."""

import json
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc.jwk import ECKey

from pikaserver_acme.moments import stored
from pikaserver_acme.storage import orders
from tests.acme.certificate_ids import certificate_id
from tests.acme.desk import b64, csr_of, dns_names, problem

NAME = "www.example.com"


def test_an_order_ends_with_the_first_of_its_proofs(make, server):
    """RFC 8555 section 7.1.6: a proof that expires takes its order along."""
    desk = make(**{"challenges": ["dns-01"], "authorization-seconds": 7200})
    desk.register()
    first = desk.order(NAME)
    desk.settle(desk.challenge(first))
    server.clock.advance(timedelta(minutes=90))
    second = desk.order(NAME, "mail.example.com")

    proof = desk.post(first.json["authorizations"][0]).json
    assert first.json["expires"] == second.json["expires"] == proof["expires"]
    server.clock.advance(timedelta(minutes=31))
    assert "orderNotReady" == problem(desk.finalize(first, csr_of(NAME)))
    assert "invalid" == desk.post(first.headers["location"]).json["status"]


def test_a_proof_that_ends_soon_is_not_taken_for_a_new_order(make, server):
    """The order would end before its client can finalize it."""
    desk = make(**{"challenges": ["dns-01"], "authorization-seconds": 3600})
    desk.register()
    first = desk.order(NAME)
    desk.settle(desk.challenge(first))
    server.clock.advance(timedelta(minutes=51))

    second = desk.order(NAME)

    assert "pending" == second.json["status"]
    assert first.json["authorizations"] != second.json["authorizations"]


def test_an_account_that_ends_takes_along_what_is_being_made(desk, server):
    """RFC 8555 section 7.3.6: nothing is issued to who is gone, whatever held it up."""
    number = int(desk.order(NAME).headers["location"].rpartition("/")[2])
    with server.database.transaction() as connection:
        # As a process leaves it that ends before it has issued.
        assert orders.claim(connection, number, csr_of(NAME), stored(server.clock()))
    desk.post(desk.kid, {"status": "deactivated"})
    server.clock.advance(timedelta(minutes=1))

    desk.office.finalizing.resume_all()

    found = desk.office.ordering.get(number)
    assert ("invalid", None) == (found.status, found.certificate_id)
    assert "the account is deactivated" == found.error["detail"]


def test_a_key_whose_account_was_given_up_hears_401(desk):
    """RFC 8555 section 7.3.6, also where it comes with its key."""
    desk.post(desk.kid, {"status": "deactivated"})
    desk.kid = None

    for wish in ({}, {"onlyReturnExisting": True}):
        answer = desk.post("new-account", wish)
        assert (401, "unauthorized") == (answer.status_code, problem(answer))


def test_a_certificate_is_replaced_by_one_order_only(desk):
    """RFC 9773 section 5: whoever finalizes first; rate limits are not passed by the others."""
    key, serial, _ = certificate_id(desk.certificate(NAME))
    placed = [desk.order(NAME, replaces=f"{key}.{b64(serial)}") for _ in range(3)]
    assert [201] * 3 == [one.status_code for one in placed]

    answers = [desk.finalize(one, csr_of(NAME)) for one in placed]

    assert [200, 409, 409] == [one.status_code for one in answers]
    assert ["alreadyReplaced"] * 2 == [problem(one) for one in answers[1:]]
    assert "alreadyReplaced" == problem(desk.order(NAME, replaces=f"{key}.{b64(serial)}"))


def test_a_certificate_to_be_replaced_has_one_spelling(desk):
    """Another one would be another certificate to whoever compares texts."""
    key, serial, certificate = certificate_id(desk.certificate(NAME))
    assert 201 == desk.order(NAME, replaces=f"{key}.{b64(serial)}").status_code

    for other in (
        certificate.fingerprint(hashes.SHA256()).hex(),
        f"{key}.{b64(bytes(1) + serial)}",
        f"{key}.{b64(serial)}=",
        f"{key}.{b64(serial)}.",
        f".{b64(serial)}",
        f"{b64(b'another issuer')}.{b64(serial)}",
        f"{key}.{b64(b'1')}",
    ):
        answer = desk.order(NAME, replaces=other)
        assert (400, "malformed") == (answer.status_code, problem(answer))


def test_a_certificate_of_another_account_is_not_replaced(desk):
    """Nor does it get past the limits by that."""
    key, serial, _ = certificate_id(desk.certificate(NAME))
    thief = desk.another()
    thief.register()

    assert "unauthorized" == problem(thief.order(NAME, replaces=f"{key}.{b64(serial)}"))


def test_renewal_information_of_another_issuer_is_not_to_be_had(desk, web):
    """The serial number alone says nothing."""
    _, serial, _ = certificate_id(desk.certificate(NAME))

    path = f"/acme/{desk.policy}/renewal-info/{b64(bytes(20))}.{b64(serial)}"
    answer = web.get(path)

    assert (404, "malformed") == (answer.status_code, problem(answer))


@pytest.mark.parametrize(
    "change",
    [{"kid": "own"}, {"nonce": "fresh"}, {"url": "new-order"}, {"alg": "HS256"}, {"jwk": None}],
)
def test_the_inner_envelope_of_a_new_key_is_held_as_well(desk, change):
    """RFC 8555 section 7.3.5: jwk and url of the outer one, no nonce, no kid, no MAC."""
    new = ECKey.generate_key("P-256")
    header = {"alg": "ES256", "jwk": new.as_dict(private=False), "url": desk.url("key-change")}
    header |= change
    if change.get("kid"):
        header["kid"] = desk.kid
    if change.get("nonce"):
        header["nonce"] = desk.fresh()
    if "url" in change:
        header["url"] = desk.url(change["url"])
    header = {name: value for name, value in header.items() if value is not None}
    wish = {"account": desk.kid, "oldKey": desk.key.as_dict(private=False)}
    if header["alg"] == "HS256":
        inner = {"protected": b64(json.dumps(header).encode()), "payload": b64(b"{}")}
        inner["signature"] = b64(bytes(32))
    else:
        inner = desk.sign(header, wish, new)

    answer = desk.post("key-change", inner)

    assert problem(answer) in {"malformed", "badSignatureAlgorithm"}
    assert 200 == desk.post(desk.kid).status_code


def test_a_csr_asks_for_nothing_but_its_key_and_names(desk):
    """RFC 8555 section 7.4: the policy decides; an authority is not made by asking."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME.upper())]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(*[False] * 5, True, True, False, False), critical=True)  # noqa: FBT003 - keyCertSign and cRLSign
        .add_extension(x509.ExtendedKeyUsage([x509.OID_CODE_SIGNING]), critical=True)
    )
    csr = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    done = desk.finalize(desk.order(NAME), csr)

    pem = desk.post(done.json["certificate"]).text
    made = x509.load_pem_x509_certificates(pem.encode())[0].extensions
    assert not made.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    usages = made.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert x509.OID_CODE_SIGNING not in usages
    names = made.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [NAME] == names.get_values_for_type(x509.DNSName)


@pytest.mark.parametrize(
    "name",
    [
        x509.RFC822Name("root@example.com"),
        x509.UniformResourceIdentifier("https://www.example.com/"),
        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.DNSName("*.www.example.com"),
        x509.DNSName("www.example.com."),
        x509.DNSName("127.0.0.1"),
    ],
)
def test_a_csr_with_another_kind_of_name_is_refused(desk, name):
    """Beside the name that was ordered."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(NAME), name])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())

    answer = desk.finalize(desk.order(NAME), csr.public_bytes(Encoding.DER))

    assert "badCSR" == problem(answer)


@pytest.mark.parametrize(
    "identifier",
    [
        {"type": "dns", "value": "www.example.com."},
        {"type": "dns", "value": "xn--a.example.com"},
        {"type": "dns", "value": "xn--ls8h.example.com"},
        {"type": "dns", "value": "ab--c.example.com"},
        {"type": "dns", "value": "m\u00fcnchen.example"},
        {"type": "dns", "value": "\u212aelvin.example"},
        {"type": "dns", "value": "*.com"},
        {"type": "dns", "value": "*.*.example.com"},
        {"type": "dns", "value": "127.0.0.1"},
        {"type": "dns", "value": "[::1]"},
        {"type": "dns", "value": "0x7f.1"},
        {"type": "ip", "value": "::ffff:10.0.0.1"},
        {"type": "ip", "value": "0.0.0.0"},  # noqa: S104 - asked for, not bound
        {"type": "ip", "value": "::"},
        {"type": "ip", "value": "224.0.0.1"},
        {"type": "ip", "value": "255.255.255.255"},
        {"type": "ip", "value": "10.0.0.0/8"},
        {"type": "ip", "value": "010.0.0.1"},
        {"type": "ip", "value": "\u0661\u0660.0.0.1"},
        {"type": "ip", "value": "fe80::1%eth0"},
    ],
)
def test_what_no_certificate_names_is_not_ordered(desk, identifier):
    """It is said before anything is proved, not at the end."""
    assert "malformed" == problem(desk.post("new-order", {"identifiers": [identifier]}))


def test_a_name_and_the_wildcard_above_it_are_proved_each(prover):
    """One value in the DNS, two authorizations, two tokens; neither stands for the other."""
    order = prover.order("example.com", "*.example.com")
    first, second = (prover.post(url).json for url in order.json["authorizations"])

    assert {False, True} == {one.get("wildcard", False) for one in (first, second)}
    assert first["identifier"] == second["identifier"]
    plain = 0 if not first.get("wildcard") else 1
    prover.settle(prover.challenge(order, index=plain))
    assert "pending" == prover.post(order.headers["location"]).json["status"]
    assert "pending" == prover.order("*.example.com").json["status"]
    assert "ready" == prover.order("example.com").json["status"]
    prover.settle(prover.challenge(order, index=1 - plain))
    assert "ready" == prover.post(order.headers["location"]).json["status"]
    names = {"identifiers": dns_names("example.com", "*.example.com")}
    assert "ready" == prover.post("new-order", names).json["status"]
