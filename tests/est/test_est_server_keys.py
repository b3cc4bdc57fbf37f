"""``serverkeygen``: keys that the server makes, and what becomes of them while they wait."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
)

from pikaserver.api.errors import RequestRejected
from pikaserver.asn1 import der
from pikaserver.asn1.request_attributes import attribute_value
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import throw_away_request
from pikaserver_est.plugin import register_jobs
from tests.est.key_requests import CODE, ask, certified, parts, spki, with_attributes

pytestmark = pytest.mark.usefixtures("making")


def test_a_key_comes_with_its_certificate(est, server, key):
    """RFC 7030 section 4.4.2: multipart/mixed, base64, the key first; another than was sent."""
    answer = ask(est, throw_away_request(key, "plc-21"))

    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])
    (kind, pkcs8), (second, certificate) = parts(answer)
    assert ("application/pkcs8", "application/pkcs7-mime; smime-type=certs-only") == (kind, second)
    made = load_der_private_key(pkcs8, None)
    assert spki(made) == certified(certificate) != spki(key)
    assert "CN=plc-21" == server.certificates.get(1).subject
    with server.database.reading() as connection:
        assert 0 == connection.exec_driver_sql("SELECT count(*) FROM est_generated_key").scalar()


def test_the_request_says_which_kind_of_key(est, server, key):
    """The one in it where the template takes it, else a usual one."""
    kinds = frozenset({"ec-p384", "ed25519"})
    rules = server.templates.get("device").est
    server.templates.add(make_template(est=rules, key_types=kinds))
    curve = ec.generate_private_key(ec.SECP384R1())
    server.codes.find("4711").proof.uses_left = 9

    named = parts(ask(est, throw_away_request(curve, "plc-21")))[0][1]
    usual = parts(ask(est, throw_away_request(key, "plc-21")))[0][1]

    assert ["secp384r1"] * 2 == [
        load_der_private_key(one, None).curve.name for one in (named, usual)
    ]


@pytest.mark.parametrize("rules", [make_template().est])
def test_without_the_templates_word_nobody_gets_a_key(est, server, key, rules):
    """Keys made by others are a matter of policy."""
    server.templates.add(make_template(est=rules))

    assert 403 == ask(est, throw_away_request(key, "plc-21")).status_code
    assert not server.wishes


def test_the_signature_of_the_request_does_not_matter(est, key):
    """RFC 7030 section 4.4.1: a client that cannot make keys cannot sign either."""
    octets = bytearray(throw_away_request(key, "plc-21"))
    octets[-1] ^= 1

    assert 200 == ask(est, bytes(octets)).status_code


def test_extensions_that_were_asked_are_in_the_new_request(est, server, key):
    """What the template makes of them is its business."""
    octets = throw_away_request(key, "plc-21", x509.DNSName("plc-21.example"))

    ask(est, octets)

    assert ("dns:plc-21.example",) == server.certificates.get(1).names


def test_a_key_waits_sealed_for_the_approval(est, server, key):
    """202, then the key that was certified, once; afterwards nothing of it is kept."""
    rules = server.templates.get("device").est
    server.templates.add(make_template(est=rules, approval=True))
    octets = throw_away_request(key, "plc-21")
    first, second = ask(est, octets), ask(est, octets)
    with server.database.reading() as connection:
        sealed = connection.exec_driver_sql("SELECT sealed FROM est_generated_key").scalar()
    server.approve(1)

    third = ask(est, octets)

    assert [202, 202, 200] == [one.status_code for one in (first, second, third)]
    assert 1 == len({wish.csr.der for wish in server.wishes})
    (_, pkcs8), (_, certificate) = parts(third)
    assert pkcs8 not in sealed
    assert spki(load_der_private_key(pkcs8, None)) == certified(certificate)
    with server.database.reading() as connection:
        assert 0 == connection.exec_driver_sql("SELECT count(*) FROM est_generated_key").scalar()


def test_a_key_that_nobody_approves_is_forgotten(est, server, key):
    """After a week; and at once when a rule refuses the request."""
    rules = server.templates.get("device").est
    server.templates.add(make_template(est=rules, approval=True))
    server.refuse_next(RequestRejected("no"))
    refused = ask(est, throw_away_request(key, "plc-20"))
    ask(est, throw_away_request(key, "plc-21"))
    (job,) = register_jobs(server)

    job.run()
    with server.database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM est_generated_key").scalar()
    server.clock.advance(timedelta(days=8))
    job.run()

    assert 400 == refused.status_code
    with server.database.reading() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM est_generated_key").scalar()
    assert (1, 0) == (kept, left)


def test_what_binds_to_another_certificate_goes_into_the_new_request(est, server, key):
    """RFC 9763: the proof by the first key says nothing of the second, so it stays good."""
    bound = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.60")
    value = der.sequence(der.null())

    answer = ask(est, with_attributes(key, (bound, value)), user=CODE)

    assert 200 == answer.status_code, answer.text
    assert value == attribute_value(server.wishes[0].csr, bound.dotted_string)
