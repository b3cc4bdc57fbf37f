"""The server's own TLS certificate, and what signs it."""

from datetime import timedelta

import pytest
from cryptography import x509

from pikaserver.api.errors import ConfigurationError
from pikaserver.authority.templates.starters import starter
from pikaserver.own_certificate import OwnCertificate
from pikaserver.testing.servers import HOSTNAME, make_server


def signers(server):
    """Return who signed the chain that the listeners serve, leaf first."""
    chain = OwnCertificate(server, [HOSTNAME]).identity().chain
    return [
        (one.issuer.rfc4514_string(), one.signature_algorithm_oid._name)  # noqa: SLF001 - shown in the assertion only
        for one in x509.load_pem_x509_certificates(chain)
    ]


@pytest.mark.parametrize(
    ("key_type", "expected"),
    [
        (
            "ec-p384",
            [
                ("CN=Pikaserver Issuing CA,O=Pikaserver", "ecdsa-with-SHA384"),
                ("CN=Pikaserver Root CA,O=Pikaserver", "ecdsa-with-SHA384"),
            ],
        ),
        ("ml-dsa-44", [("CN=Pikaserver TLS Root CA,O=Pikaserver", "ecdsa-with-SHA256")]),
    ],
)
def test_it_is_signed_by_what_tls_clients_can_verify(tmp_path, key_type, expected):
    """Clients with OpenSSL before 3.5 know no ML-DSA, so beside it stands a small EC root."""
    with make_server(tmp_path, key_type=key_type) as server:
        assert expected == signers(server)


def test_one_certificate_is_enough(tmp_path):
    """The listeners ask every second; they get the same one, the authority ``tls`` or not."""
    with make_server(tmp_path, key_type="ml-dsa-44") as server:
        own = OwnCertificate(server, [HOSTNAME])

        assert own.identity() == own.identity()


def test_a_template_called_tls_is_used_within_a_minute(tmp_path, pikaserver_clock):
    """So an operator can move the listeners away from an authority that got an ML-DSA key."""
    with make_server(tmp_path, clock=pikaserver_clock) as server:
        own = OwnCertificate(server, [HOSTNAME])
        before = own.identity()
        server.templates.save("tls", starter("web", issuing="issuing"), "test")
        pikaserver_clock.advance(timedelta(minutes=1))

        after = own.identity()

        assert before.version != after.version
        assert after == own.identity()


def test_a_name_in_another_spelling_is_the_same_name(tmp_path):
    """Certificates carry names in one form; the settings may write them in another."""
    with make_server(tmp_path) as server:
        own = OwnCertificate(server, ["PKI.Example.Test", "0:0:0:0:0:0:0:1"])

        assert own.identity() == own.identity()


def test_a_renewal_that_fails_is_tried_again_in_a_minute(tmp_path, pikaserver_clock):
    """Until then the old certificate serves, and no keys pile up."""
    with make_server(tmp_path, clock=pikaserver_clock) as server:
        own = OwnCertificate(server, [HOSTNAME])
        before = own.identity()
        keys = len(list(server.signers.backends()["software"].keys()))
        document = server.templates.document("web")
        broken = document.replace('"ec-p256", "ec-p384", ', "")
        server.templates.save("web", broken, "test")
        pikaserver_clock.advance(timedelta(days=80))

        assert before == own.identity() == own.identity()

        assert "degraded" == own.health().state.value
        assert keys == len(list(server.signers.backends()["software"].keys()))
        server.templates.save("web", document, "test")
        assert before == own.identity()
        pikaserver_clock.advance(timedelta(minutes=1))
        assert before != own.identity()
        assert "ok" == own.health().state.value


def test_a_template_that_wants_an_approval_leaves_no_requests_behind(tmp_path):
    """It is asked every minute; nobody could find the others' requests among these."""
    with make_server(tmp_path) as server:
        document = server.templates.document("web")
        document = document.replace("approval = false", "approval = true")
        server.templates.save("web", document, "test")

        with pytest.raises(ConfigurationError, match="wants an approval"):
            OwnCertificate(server, [HOSTNAME]).identity()

        assert [] == server.requests.list()
