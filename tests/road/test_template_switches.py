"""What a template's switches on renewal, validity and approval do to real certificates."""

from datetime import timedelta

import pytest
import tomlkit
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.certificates import CertificateStatus, Revocation, RevocationReason
from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Issued, Requester
from pikaserver.authority.recovery import resolve_intents
from pikaserver.storage import certificates as storage

OPERATOR = Requester("cli:test", "operator")


@pytest.fixture
def template(server):
    """Save a variant of the device starter: ``template("name", renewal={"window": "30d"})``."""

    def save(name, **tables):
        document = tomlkit.parse(server.templates.document("device"))
        for key, value in tables.items():
            if isinstance(value, dict):
                document[key].update(value)
            else:
                document[key] = value
        server.templates.save(name, tomlkit.dumps(document), "test")
        return name

    return save


def enrol(server, csr, name, **more):
    return server.enroll(EnrollmentRequest(csr, OPERATOR, name, "cli", **more))


def renew(server, csr, name, record):
    holder = Requester("certificate:x", "certificate", certificate=record)
    return server.enroll(EnrollmentRequest(csr, holder, name, "est", renews=record))


def test_the_renewal_window_opens_in_time(server, make_csr, clock, template):
    """RFC 7030 leaves the time to the CA; a template says how early is too early."""
    name = template("windowed", renewal={"window": "30d"})
    csr = make_csr("window.example.test", key=ec.generate_private_key(ec.SECP256R1()))
    old = enrol(server, csr, name).record

    with pytest.raises(RequestRejected, match="opens at"):
        renew(server, csr, name, old)
    # The clock is not set back afterwards: that would stop signing.
    clock.advance(old.not_after - clock() - timedelta(days=29))

    assert isinstance(renew(server, csr, name, old), Issued)


def test_the_old_certificate_is_revoked_with_the_renewal(server, make_csr, template):
    """Both happen in one transaction: there is never a moment with neither."""
    name = template("replacing", renewal={"revoke-old": True})
    csr = make_csr("replace.example.test")
    old = enrol(server, csr, name).record

    renew(server, csr, name, old)

    changed = server.certificates.get(old.id)
    assert CertificateStatus.REVOKED is changed.status
    assert RevocationReason.SUPERSEDED is changed.revocation.reason


@pytest.mark.parametrize("copies", [True, False])
def test_names_that_the_csr_leaves_out_are_copied_only_if_allowed(
    server, make_csr, template, copies
):
    name = template(f"copying-{copies}".lower(), renewal={"copy-names": copies})
    old = enrol(server, make_csr("copied.example.test"), name).record
    bare = make_csr("copied.example.test", names=[])

    if copies:
        assert old.names == renew(server, bare, name, old).record.names
    else:
        with pytest.raises(RequestRejected, match="repeat the names"):
            renew(server, bare, name, old)


def test_a_period_is_asked_only_where_the_template_lets(server, make_csr, template):
    fixed = template("fixed", validity={"overridable": False, "maximum": "1y"})
    free = template("free", validity={"overridable": True, "maximum": "2y"})
    csr = make_csr("period.example.test")

    with pytest.raises(RequestRejected, match="fixes the validity"):
        enrol(server, csr, fixed, validity=timedelta(days=3))
    with pytest.raises(RequestRejected, match="at most"):
        enrol(server, csr, free, validity=timedelta(days=800))
    record = enrol(server, csr, free, validity=timedelta(days=3)).record

    assert server.clock() + timedelta(days=3) - timedelta(seconds=1) == record.not_after


def test_an_approver_may_shorten_the_period(server, make_csr, template):
    name = template("approved-period", approval=True)
    pending = enrol(server, make_csr("short.example.test"), name)

    server.requests.decide(pending.request_id, "officer", approve=True, validity=timedelta(days=2))
    issued = server.enrollment.issue_approved(pending.request_id)

    assert server.clock() + timedelta(days=2) - timedelta(seconds=1) == issued.record.not_after


def test_a_new_version_is_on_record_and_the_old_one_stays_readable(server, make_csr, template):
    """Templates are never edited in place: each certificate names the version it came from."""
    name = template("versioned")
    first = enrol(server, make_csr("one.example.test"), name).record
    template("versioned", description="another text")
    second = enrol(server, make_csr("two.example.test"), name).record

    assert (1, 2) == (first.template_version, second.template_version)
    assert server.templates.document(name, 1) != server.templates.document(name, 2)


def test_what_a_stopped_process_left_is_closed_and_stays_revocable(
    server, make_csr, template, monkeypatch, clock
):
    """The process dies between the signature and the second commit."""

    class Died(BaseException):
        """As if the machine had been switched off."""

    def die(*_):
        raise Died

    monkeypatch.setattr("pikaserver.authority.issuance.assemble", die)
    with pytest.raises(Died):
        enrol(server, make_csr("died.example.test"), template("dying"))
    with server.database.reading() as connection:
        (intent,) = storage.open_intents(connection)

    closed = resolve_intents(server.database, server.audit, server.host.server.node)

    assert 1 == closed
    with server.database.reading() as connection:
        record = storage.get(connection, intent.id, clock())
    assert CertificateStatus.PENDING is record.status
    assert record.certificate is None
    with server.database.transaction() as connection:
        assert storage.revoke(
            connection,
            intent.id,
            Revocation(clock(), RevocationReason.UNSPECIFIED),
            crl_entry=b"",
            number=1,
        )


def test_policies_of_a_template_reach_the_certificate(server, make_csr, template):
    name = template("custom", extensions={"policies": ["1.3.6.1.4.1.99999.1"]})
    leaf = x509.load_der_x509_certificate(
        enrol(server, make_csr("custom.example.test"), name).certificate
    )

    policies = leaf.extensions.get_extension_for_class(x509.CertificatePolicies).value
    assert "1.3.6.1.4.1.99999.1" == policies[0].policy_identifier.dotted_string
