"""P3: no key of an authority signs anything that the audit trail does not know of."""

import pytest
from cryptography import x509

from pikaserver.api.signing import KeyReference
from pikaserver.authority import ceremony, issuance
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.authority.crls import signing
from pikaserver.storage import audit


def plan(name):
    return AuthorityPlan(
        name=name,
        content=CaContent(x509.Name.from_rfc4514_string(f"CN={name},O=Example")),
        key_type="ec-p256",
        key=KeyReference("software", f"{name}-1"),
        algorithm="ecdsa-sha256",
    )


DEEDS = {
    "root": lambda server: server.ceremony.create_root(plan("audited-root"), "test"),
    "subordinate": lambda server: server.ceremony.create_subordinate(plan("sub"), "root", "test"),
    "waiting": lambda server: server.ceremony.create_waiting(plan("audited-waiting"), "test"),
    "csr": lambda server: server.succession.csr("issuing", "test"),
    "renewal": lambda server: server.succession.renew("issuing", "test"),
    "rekey": lambda server: server.succession.rekey("issuing", plan("issuing-2"), "test"),
    "crl": lambda server: server.crls.issue("issuing"),
}


def last_sequence(server):
    with server.database.reading() as connection:
        return audit.heads(connection)[server.host.server.node].sequence


@pytest.mark.parametrize("deed", DEEDS)
def test_a_line_of_the_trail_is_durable_before_each_signature(server, monkeypatch, deed):
    """Whatever the deed: at each signature there is a new line that tells of signing."""
    before = last_sequence(server)
    seen = []

    def spy(sign):
        def signing(*words):
            with server.database.reading() as connection:
                lines = audit.read(connection, audit.TrailQuery(after=before))
                seen.append([line.event for line in lines if line.event.endswith(".signing")])
            return sign(*words)

        return signing

    for module, name in (
        (ceremony, "sign_tbs"),
        (issuance, "sign_tbs"),
        (signing, "sign_pieces"),
    ):
        monkeypatch.setattr(module, name, spy(getattr(module, name)))

    DEEDS[deed](server)

    assert seen
    assert all(len(lines) > signature for signature, lines in enumerate(seen))
