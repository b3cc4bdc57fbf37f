"""The one road: who may come in, what is decided, and what is left behind."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from sqlalchemy import func, select

from pikaserver.api.certificates import (
    CertificateQuery,
    CertificateStatus,
)
from pikaserver.api.errors import (
    Conflict,
    KeyUnavailable,
    MalformedRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RequestRejected,
    SignatureFaulty,
    Unavailable,
)
from pikaserver.api.issuance import Issued, Requester
from pikaserver.storage import audit
from pikaserver.storage.tables import certificate
from tests.road.wishes import holding, wish


def events(server):
    with server.database.reading() as connection:
        return [line.event for line in audit.read(connection, audit.TrailQuery())]


def stored(server):
    with server.database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(certificate))


def test_a_certificate_is_stored_audited_and_chained(server, make_csr):
    """P1 and P3: intent, signature and result are on record before anybody gets anything."""
    outcome = server.enroll(wish(make_csr("a.example.test")))

    assert isinstance(outcome, Issued)
    assert ["certificate.signing", "certificate.issued"] == events(server)[-2:]
    assert server.certificates.by_certificate(outcome.certificate) == outcome.record
    issuing, root = outcome.chain
    leaf = x509.load_der_x509_certificate(outcome.certificate)
    leaf.verify_directly_issued_by(x509.load_der_x509_certificate(issuing))
    x509.load_der_x509_certificate(issuing).verify_directly_issued_by(
        x509.load_der_x509_certificate(root)
    )


def test_the_serial_has_18_octets_and_begins_with_the_node(server, make_csr):
    """CA/Browser Forum asks for 64 random bits; the first octet keeps nodes apart."""
    serial = server.enroll(wish(make_csr("serial.example.test"))).record.serial

    assert 18 == (serial.bit_length() + 7) // 8
    assert server.host.server.node == serial >> (17 * 8)


def test_the_validity_counts_both_ends(server, make_csr, clock):
    """RFC 5280 section 4.1.2.5: notAfter is part of the validity."""
    record = server.enroll(wish(make_csr("validity.example.test"))).record
    template = server.templates.get("device")

    assert clock() + template.validity.period - timedelta(seconds=1) == record.not_after


def test_nothing_of_a_csr_is_copied_that_the_template_does_not_allow(server, make_csr):
    """A CSR is a wish: CA:TRUE, key usages and unknown extensions stay out."""
    bold = x509.BasicConstraints(ca=True, path_length=None)
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")

    issued = server.enroll(wish(make_csr("bold.example.test", extensions=[bold, strange])))

    leaf = x509.load_der_x509_certificate(issued.certificate)
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca
    assert "1.2.3.4" not in {one.oid.dotted_string for one in leaf.extensions}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"template": "nothing"}, NotFound),
        ({"door": "acme-not"}, RequestRejected),
        ({"requester": Requester("x", "hearsay")}, NotAllowed),
        ({"requester": Requester("x", "code", templates=frozenset({"web"}))}, NotAllowed),
    ],
)
def test_who_has_no_right_to_ask_gets_nothing(server, make_csr, change, error):
    """The core asks for template, door and proof, whatever the door checked."""
    before = stored(server)

    with pytest.raises(error):
        server.enroll(wish(make_csr("right.example.test"), **change))

    assert before == stored(server)


def test_a_forged_proof_of_possession_is_refused(server, make_csr):
    """RFC 2986 section 3: the CSR is signed by the key that it asks a certificate for."""
    good = make_csr("pop.example.test")
    other = make_csr("pop.example.test")

    with pytest.raises(MalformedRequest, match="signed"):
        server.enroll(wish(replace(good, signature=other.signature)))


@pytest.mark.parametrize(
    "name",
    [
        x509.RFC822Name("somebody@example.test"),
        x509.UniformResourceIdentifier("https://example.test/"),
        x509.DNSName("two words.example.test"),
        x509.DNSName("nul\x00.example.test"),
        x509.DNSName("a..example.test"),
    ],
)
def test_a_name_outside_the_template_is_refused_with_the_reason(server, make_csr, name):
    """The refusal carries the trace; nothing is stored and nothing signed."""
    before, seen = stored(server), len(events(server))

    with pytest.raises(RequestRejected) as refusal:
        server.enroll(wish(make_csr("names.example.test", names=[name])))

    assert not refusal.value.trace[-1].allowed
    assert (before, seen) == (stored(server), len(events(server)))


def test_a_dry_run_leaves_nothing_behind(server, make_csr):
    """Every rule is asked, nothing is stored, spent or signed."""
    code = server.codes.create("device", "test")
    requester = holding(server, code.user)
    before, seen = stored(server), len(events(server))

    result = server.enrollment.dry_run(wish(make_csr("dry.example.test"), requester=requester))

    assert result.error is None
    assert {"door", "proof", "possession", "lint"} <= {line.rule for line in result.trace}
    assert (before, seen) == (stored(server), len(events(server)))


def test_a_code_is_spent_with_the_intent_and_only_once(server, make_csr):
    """A reused one-time code buys nothing."""
    code = server.codes.create("device", "test")
    requester = holding(server, code.user)
    server.enroll(wish(make_csr("once.example.test"), requester=requester))
    before = stored(server)

    with pytest.raises(NotAuthenticated, match="used up"):
        server.enroll(wish(make_csr("twice.example.test"), requester=requester))

    assert before == stored(server)


def test_a_code_survives_a_refused_request(server, make_csr):
    """What a rule refuses costs the device nothing."""
    code = server.codes.create("device", "test")
    requester = holding(server, code.user)
    refused = [x509.RFC822Name("somebody@example.test")]
    with pytest.raises(RequestRejected):
        server.enroll(wish(make_csr("bad.example.test", names=refused), requester=requester))

    outcome = server.enroll(wish(make_csr("good.example.test"), requester=requester))

    assert isinstance(outcome, Issued)


def test_a_code_bound_to_a_name_is_for_that_name(server, make_csr):
    code = server.codes.create("device", "test", common_name="plc-1.example.test")
    requester = holding(server, code.user, common_name="plc-1.example.test")

    with pytest.raises(RequestRejected, match="is for"):
        server.enroll(wish(make_csr("plc-2.example.test"), requester=requester))


def test_a_repeated_transaction_gets_the_first_outcome(server, make_csr):
    """RFC 8894 section 3.2.1.1: the same transaction never yields a second certificate."""
    csr = make_csr("transaction.example.test")
    first = server.enroll(wish(csr, transaction="t-1"))

    second = server.enroll(wish(csr, transaction="t-1"))

    assert first.certificate == second.certificate


def test_a_transaction_serves_one_key_only(server, make_csr):
    server.enroll(wish(make_csr("tx.example.test"), transaction="t-2"))

    with pytest.raises(RequestRejected, match="another key"):
        server.enroll(wish(make_csr("tx.example.test"), transaction="t-2"))


class Faulty:
    """A signer that answers with what it was told."""

    def __init__(self, signer, answer):
        self.algorithm = signer.algorithm
        self.public_key = signer.public_key
        self._answer = answer

    def sign(self, tbs):
        return self._answer(tbs)


@pytest.fixture
def broken_key(server, monkeypatch):
    """Let the next signatures be made by a faulty signer."""

    def put(answer):
        real = server.signers.open

        def opened(reference, algorithm):
            return Faulty(real(reference, algorithm), answer)

        monkeypatch.setattr(type(server.signers), "open", lambda _, *words: opened(*words))

    return put


def test_a_faulty_signature_never_leaves(server, make_csr, broken_key):
    """Every signature is verified with the authority's certificate before anything is stored."""
    broken_key(lambda _tbs: bytes.fromhex("3006020101020101"))

    with pytest.raises(SignatureFaulty):
        server.enroll(wish(make_csr("faulty.example.test")))

    assert "certificate.abandoned" == events(server)[-1]
    found = server.certificates.find(CertificateQuery(name="faulty.example.test"))
    assert not [record for record in found if record.certificate]


def test_a_key_that_is_away_gives_the_code_back(server, make_csr, broken_key):
    """It is certain that nothing was signed, so the device may come again."""

    def away(_tbs):
        raise KeyUnavailable("the token is away")

    code = server.codes.create("device", "test")
    requester = holding(server, code.user)
    broken_key(away)

    with pytest.raises(KeyUnavailable):
        server.enroll(wish(make_csr("away.example.test"), requester=requester))

    assert 1 == next(row.uses_left for row in server.codes.list() if row.user == code.user)


def test_a_disabled_authority_signs_nothing(server, make_csr):
    server.ceremony.set_enabled("issuing", "test", enabled=False)
    try:
        with pytest.raises(Conflict, match="disabled"):
            server.enroll(wish(make_csr("off.example.test")))
    finally:
        server.ceremony.set_enabled("issuing", "test", enabled=True)


def test_a_clock_that_ran_back_stops_signing(server, make_csr, clock):
    """P8: when the clock is in doubt, signing stops."""
    server.enroll(wish(make_csr("now.example.test")))
    clock.advance(timedelta(hours=-1))
    try:
        with pytest.raises(Unavailable, match="clock"):
            server.enroll(wish(make_csr("then.example.test")))
    finally:
        clock.advance(timedelta(hours=1))


def test_a_child_never_outlives_its_issuer(server, make_csr, clock):
    """Close to its end an authority shortens what it issues, and says so."""
    end = server.authorities.key("issuing").certificate.not_valid_after_utc
    ahead = end - clock() - timedelta(days=10)
    clock.advance(ahead)
    try:
        issued = server.enroll(wish(make_csr("late.example.test")))
    finally:
        clock.advance(-ahead)

    assert end == issued.record.not_after
    assert any("shortened" in line.why for line in issued.trace)


def test_everything_that_was_issued_here_is_valid_and_audited(server):
    """P3: the trail verifies from end to end."""
    with server.database.reading() as connection:
        report = audit.verify(connection)

    assert report.problem is None
    found = server.certificates.find(CertificateQuery(status=CertificateStatus.VALID, limit=1000))
    assert all(record.certificate for record in found)
