"""Challenges for one subject, or for some names, and for nobody else."""

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import AttributeOID, NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from pikaserver.api.errors import RequestRejected
from pikaserver.storage.audit import TrailQuery, read
from pikaserver.testing.servers import make_server
from pikaserver_scep.challenges.binding import LONGEST_SUBJECT, kept_binding, read_binding
from tests.scep.device import BAD_REQUEST, FAILURE, PKCS_REQ, SUCCESS, Device, House

ENABLED = {"PIKASERVER__PLUGINS__ENABLED": '["crl", "est", "scep"]'}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Give a server with a template that lets devices choose subject and names."""
    folder = tmp_path_factory.mktemp("bindings") / "data"
    with make_server(folder, environment=ENABLED) as server:
        made = House(server)
        made.set('subject.from-request=["CN", "O", "C", "serialNumber"]')
        yield made


def enrolled(house, secret, subject, *names):
    """Return how a request for these ended."""
    device = Device("plc")
    builder = x509.CertificateSigningRequestBuilder(
        x509.Name.from_rfc4514_string(subject, {"serialNumber": NameOID.SERIAL_NUMBER})
    ).add_attribute(AttributeOID.CHALLENGE_PASSWORD, secret.encode())
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    csr = builder.sign(device.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    envelope = device.seal(csr, house.recipient)
    return house.ask(device, device.message(PKCS_REQ, envelope, transaction=f"{subject}{names}"))


def test_a_challenge_for_a_subject_is_good_for_that_alone(house):
    """Who is refused spends nothing; the right one has it afterwards, once."""
    secret = house.challenge(subject="CN=plc-21.example.org, serialNumber=0021, O=Acme")
    issued = house.issued()

    for wrong in ("CN=plc-21.example.org", "CN=plc-22.example.org,serialNumber=0021,O=Acme"):
        refused = enrolled(house, secret, wrong)
        assert (FAILURE, BAD_REQUEST) == refused.outcome
        assert "plc-21" in refused.text
    assert issued == house.issued()
    right = "CN=plc-21.example.org,serialNumber=0021,O=Acme"
    assert SUCCESS == enrolled(house, secret, right).status
    second = enrolled(house, secret, right, x509.DNSName("plc-21.example.org"))
    assert (FAILURE, BAD_REQUEST) == second.outcome


def test_a_challenge_for_names_is_good_for_these_alone(house):
    """Neither fewer nor more nor others."""
    secret = house.challenge(names=("dns:PLC-31.example.org",))
    own, other = x509.DNSName("plc-31.example.org"), x509.DNSName("plc-32.example.org")

    for names in ((), (other,), (own, other)):
        assert FAILURE == enrolled(house, secret, "CN=plc-31.example.org", *names).status
    assert SUCCESS == enrolled(house, secret, "CN=plc-31.example.org", own).status


def test_the_trail_knows_what_it_was_bound_to(house):
    """Beside who made it."""
    house.challenge(subject="CN=a,O=Acme", names=("ip:192.0.2.7",))

    with house.server.database.reading() as connection:
        lines = [one for one in read(connection, TrailQuery()) if "challenge" in one.event]
    last = max(lines, key=lambda one: one.sequence)
    fields = json.loads(last.fields) if isinstance(last.fields, str) else last.fields
    assert ("CN=a,O=Acme", '["ip:192.0.2.7"]') == (fields["subject"], fields["names"])


@pytest.mark.parametrize(
    "words",
    [
        ("plc", "CN=plc"),
        (None, ""),
        (None, "plc-21"),
        (None, "CN=a,X=b"),
        (None, "CN=" + "a" * 2000),
        ("", None),
        (None, None, ("plc.example",)),
        (None, None, ("dns:",)),
        (None, None, ("dns:bücher.example",)),
        (None, None, ("ip:300.1.1.1",)),
        (None, None, ("email:anna",)),
        (None, None, ("uri:http://a",)),
        (None, None, tuple(f"dns:n{number}" for number in range(21))),
    ],
)
def test_what_cannot_be_bound_is_refused(words):
    """With a sentence that says how it is written."""
    with pytest.raises(RequestRejected):
        read_binding(*words)


@given(st.text(max_size=60), st.lists(st.text(max_size=30), max_size=3))
def test_nothing_but_a_refusal_comes_of_any_text(subject, names):
    """What is read is kept and read again as the same."""
    try:
        bound = read_binding(None, subject, names)
    except RequestRejected:
        return

    assert bound == kept_binding(bound.common_name, bound.subject_text, bound.names_json)


_PART = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20
)


@given(st.lists(st.tuples(st.sampled_from(["CN", "O", "serialNumber", "GN"]), _PART), min_size=1))
@example([("CN", "a "), ("O", " b, c\\")])
def test_every_subject_is_kept(parts):
    """Commas, blanks and plus signs in values, too."""
    oids = {
        "CN": NameOID.COMMON_NAME,
        "O": NameOID.ORGANIZATION_NAME,
        "serialNumber": NameOID.SERIAL_NUMBER,
        "GN": NameOID.GIVEN_NAME,
    }
    name = x509.Name([x509.NameAttribute(oids[word], text[:60]) for word, text in parts[:5]])
    if len(name.rfc4514_string()) > LONGEST_SUBJECT:
        return
    text = kept_binding(None, name.rfc4514_string(), None).subject_text

    assert name == kept_binding(None, text, None).subject
