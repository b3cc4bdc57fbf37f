"""The responder of a real server: its keys, its tables, its nodes."""

from contextlib import ExitStack
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from pikaserver.api.certificates import CertificateQuery, Revocation, RevocationReason
from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.api.signing import KeyReference
from pikaserver.api.web import ClientConnection, WholeRequest
from pikaserver.asn1.algorithms import algorithm_of, verify
from pikaserver.asn1.certificate import public_key_of, subject_of
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.ocsp import issuer_octets, make_cert_id
from pikaserver.asn1.ocsp_reading import read_response
from pikaserver.asn1.ocsp_requests import write_request
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.servers import make_server
from pikaserver.testing.throw_away import throw_away_key, throw_away_request
from pikaserver_ocsp.plugin import of, register_services


class Node:
    """One node of a server, and what clients and operators do there."""

    def __init__(self, server):
        self.server = server
        self.plugin = server.for_plugins
        self.ocsp = of(self.plugin)

    def issue(self, name="plc-21.example"):
        """Return a certificate by the starter for devices."""
        key = throw_away_key(self.server.entropy)
        csr = read_csr(throw_away_request(key, name, x509.DNSName(name)))
        requester = Requester("test", "operator")
        wish = EnrollmentRequest(csr, requester, "device", "cli")
        return self.server.enroll(wish).record

    def revoke(self, record, reason=RevocationReason.KEY_COMPROMISE):
        """Revoke or hold."""
        return self.server.revoke(record, Revocation(self.server.clock(), reason), "test")

    def cert_id(self, record):
        """Return its CertID by SHA-256."""
        issuer = self.server.authorities.key(record.authority, record.generation).certificate
        octets = issuer_octets(2, subject_of(issuer), public_key_of(issuer))
        return make_cert_id(octets, record.serial)

    def ask(self, record, nonce=None):
        """Return what is answered; its signature holds, and its responder is delegated."""
        octets = self.ocsp.responder.answer(write_request([self.cert_id(record)], nonce)).octets
        status, basic = read_response(octets)
        assert basic is not None, status
        (enclosed,) = basic.certificates
        signer = x509.load_der_x509_certificate(enclosed)
        issuer = self.server.authorities.key(record.authority, record.generation).certificate
        verify(public_key_of(signer), algorithm_of(basic.algorithm), basic.signature, basic.tbs)
        signer.verify_directly_issued_by(issuer)
        return basic

    def status(self, record, nonce=None):
        """Return what is said of a certificate."""
        return self.ask(record, nonce).answers[0].status


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """Give the URL of a database, ``None`` for the file in the folder."""
    if request.param == "sqlite":
        return None
    cluster = request.getfixturevalue("postgres")
    return cluster.url(cluster.create_database())


@pytest.fixture
def node(url, tmp_path):
    """Give a server that was set up without a word about OCSP."""
    with make_server(tmp_path / "data", database_url=url) as server:
        yield Node(server)


def test_it_works_without_settings(node):
    """Certificates point to it, and it answers."""
    record = node.issue()

    certificate = x509.load_der_x509_certificate(record.certificate)
    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    (url,) = [
        one.access_location.value
        for one in access.value
        if one.access_method == AuthorityInformationAccessOID.OCSP
    ]
    assert "http://pki.example.test:8080/ocsp/issuing" == url
    assert "good" == node.status(record)
    assert "good" == node.status(record, b"n" * 32)


def test_a_change_of_status_shows_on_the_next_request(node):
    """Good, held, released, revoked."""
    record = node.issue()
    said = [node.status(record)]
    held = node.revoke(record, RevocationReason.CERTIFICATE_HOLD)
    said.append(node.status(record))
    node.server.release(held, "test")
    said.append(node.status(record))
    node.revoke(record)
    said += [node.status(record), node.status(record, b"n")]

    assert ["good", "revoked", "good", "revoked", "revoked"] == said


def test_the_responder_is_among_the_issued_certificates(node):
    """It can be asked about, and revoked; the next answer has another one."""
    record = node.issue()
    first = node.ask(record)
    listed = node.server.certificates.find(CertificateQuery(template="ocsp"))
    assert [first.certificates[0]] == [one.certificate for one in listed]
    assert "good" == node.status(listed[0])

    node.revoke(listed[0])

    second = node.ask(record)
    assert first.certificates != second.certificates
    assert "revoked" == node.status(listed[0])


def test_the_responder_is_renewed_in_time(node):
    """Kept answers of the former one go on, for it is good until its end."""
    record = node.issue()
    first = node.ask(record)
    node.server.clock.advance(timedelta(days=21))

    second = node.ask(record)

    assert first.certificates != second.certificates


def test_certificates_of_a_former_key_are_answered(node):
    """By a responder of that key."""
    record = node.issue()
    key = KeyReference("software", "issuing-2")
    plan = AuthorityPlan("issuing", CaContent(x509.Name([])), "ec-p384", key, "ecdsa-sha384")
    node.server.succession.rekey("issuing", plan, "test")
    later = node.issue("plc-22.example")

    assert [1, 2] == [record.generation, later.generation]
    assert ["good", "good"] == [node.status(record), node.status(later)]


def test_a_certificate_of_the_root_is_answered(node):
    """That of the issuing authority."""
    issuing = node.server.authorities.key("issuing").certificate
    (record,) = node.server.certificates.find(CertificateQuery(serial=issuing.serial_number))

    assert "root" == record.authority
    assert "good" == node.status(record)


def test_answers_outlive_the_process(url, tmp_path):
    """The next one gives what this one signed."""
    clock = FrozenClock()
    with make_server(tmp_path / "data", clock=clock, database_url=url) as server:
        node = Node(server)
        record = node.issue()
        first = node.ask(record)
        node.ocsp.store.flush()
    environment = {} if url is None else {"PIKASERVER__DATABASE__URL": url}
    with open_server(load(environment, data=tmp_path / "data"), environment, clock=clock) as again:
        node = Node(again)
        assert first == node.ask(record)
        assert [] == node.ocsp.counts.signatures()


@pytest.fixture
def nodes(postgres, tmp_path):
    """Give two nodes on one database."""
    url = postgres.url(postgres.create_database())
    environment = {"PIKASERVER__DATABASE__URL": url}
    clock = FrozenClock()
    with ExitStack() as stack:
        first = stack.enter_context(make_server(tmp_path / "data", clock=clock, database_url=url))
        settings = load({**environment, "PIKASERVER__SERVER__NODE": "2"}, data=tmp_path / "data")
        second = stack.enter_context(open_server(settings, environment, clock=clock))
        yield Node(first), Node(second)


def test_two_nodes_give_one_answer_and_see_each_others_revocations(nodes):
    """On the very next request, whichever of them is asked."""
    one, other = nodes
    record = one.issue()
    first = one.ask(record)
    one.ocsp.store.flush()
    assert first == other.ask(record)

    held = one.revoke(record, RevocationReason.CERTIFICATE_HOLD)
    assert ["revoked", "revoked"] == [other.status(record), one.status(record)]
    other.server.release(held, "test")
    assert ["good", "good"] == [one.status(record), other.status(record)]
    other.revoke(record)
    assert ["revoked", "revoked"] == [one.status(record), other.status(record)]


def test_two_nodes_share_the_responders_certificate(nodes):
    """And its end."""
    one, other = nodes
    record = one.issue()
    first = one.ask(record, b"n")
    assert first.certificates == other.ask(record, b"n").certificates
    one.ask(record)
    other.ask(record)

    responder = other.server.certificates.by_certificate(first.certificates[0])
    other.revoke(responder)

    for node in (one, other):
        assert first.certificates != node.ask(record).certificates
        assert first.certificates != node.ask(record, b"n").certificates


def test_nothing_is_at_hand_after_another_process_wrote(tmp_path):
    """SQLite tells of every commit, also of those of a command beside the server."""
    clock = FrozenClock()
    with make_server(tmp_path / "data", clock=clock) as server:
        node = Node(server)
        record = node.issue()
        shortcut = node.ocsp.shortcut
        octets = write_request([node.cert_id(record)])
        connection = ClientConnection("public", "192.0.2.9", None)
        asked = WholeRequest("POST", "/ocsp", {}, octets, connection)
        for _ in range(2):  # the first one has the responder made, which is written
            shortcut.answer(asked)
        assert shortcut.at_hand(asked)

        with open_server(load({}, data=tmp_path / "data"), {}, clock=clock) as command:
            Node(command).revoke(record)

        assert shortcut.at_hand(asked) is None
        basic = read_response(shortcut.answer(asked).body)[1]
        assert "revoked" == basic.answers[0].status


@pytest.mark.parametrize("key_type", ["rsa-2048", "ed25519", "ml-dsa-44", "ml-dsa-87"])
def test_responders_of_all_kinds_answer(tmp_path, key_type):
    """With a key of the authority's own type."""
    with make_server(tmp_path / "data", key_type=key_type) as server:
        node = Node(server)
        record = node.issue()

        basic = node.ask(record, b"n")

        family = {"rsa-2048": "rsa-sha256"}.get(key_type, key_type)
        assert family == algorithm_of(basic.algorithm)
        client = ServiceClient(*register_services(node.plugin), tls=False)
        answer = client.send("POST", "/ocsp/issuing", write_request([node.cert_id(record)]))
        assert "good" == read_response(answer.content)[1].answers[0].status
