"""OCSP answers: of the own issuer, by its responder, and not for too long."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from hsm_agent.policy.verdicts import Allowed
from pikaserver.asn1 import der
from pikaserver.asn1.elements import children
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.asked_agent import Agent, refused
from tests.hsm_agent.made_structures import DAY, NOW, answer, crl

HASHES = (
    hashes.SHA1(),  # noqa: S303 - the usual hash of a CertID
    hashes.SHA256(),
    hashes.SHA384(),
    hashes.SHA512(),
)


@pytest.mark.parametrize("algorithm", HASHES)
@pytest.mark.parametrize("encoding", ocsp.OCSPResponderEncoding)
def test_an_answer_of_the_authority_itself_is_signed(algorithm, encoding):
    """By name or by key, with each hash that requesters use."""
    verdict = Agent().ask(answer(algorithm=algorithm, encoding=encoding))

    assert isinstance(verdict, Allowed)
    assert ("ocsp", "102030405060708090a good") == (
        verdict.facts["kind"],
        verdict.facts["statuses"],
    )


OTHER = made.replace(made.AUTHORITY, public_key=made.LEAF_KEY.public_key()).signed(made.OTHER_KEY)
OTHER_NAME = made.replace(made.AUTHORITY, subject=made.name("CN=Other")).signed(made.OTHER_KEY)


@pytest.mark.parametrize(
    ("tbs", "why"),
    [
        (answer(responder=OTHER), "responder is not this key"),
        (
            answer(responder=OTHER_NAME, encoding=ocsp.OCSPResponderEncoding.NAME),
            "responder is not this key",
        ),
        (answer(issuer=OTHER), "another issuer"),
        (answer(issuer=OTHER_NAME), "another issuer"),
        (answer(next_update=None), "no nextUpdate"),
        (answer(next_update=NOW + 8 * DAY), "max-validity"),
        (answer(this_update=NOW + DAY, next_update=NOW + 2 * DAY), "lies in the future"),
        (
            answer().replace(b"20261122120000Z", b"20261122130000Z", 1),
            "producedAt",
        ),
    ],
)
def test_an_answer_that_a_rule_forbids_is_refused(tbs, why):
    """Those of other issuers above all."""
    refused(Agent().ask(tbs), why)


def test_an_answer_that_ends_before_it_begins_is_refused():
    """The builder refuses to make one; an attacker does not."""
    tbs = answer(next_update=NOW + DAY).replace(b"20261123120000Z", b"20261121120000Z")

    refused(Agent().ask(tbs), "before thisUpdate")


def test_an_unknown_critical_extension_of_an_answer_is_refused():
    """RFC 6960 section 4.4."""
    tbs = answer()
    parts = [tbs[one.at : one.end] for one in children(tbs)]
    critical = der.sequence(der.oid("1.2.3"), der.boolean(value=True), der.octet_string(b""))

    refused(Agent().ask(der.sequence(*parts, der.context(1, der.sequence(critical)))), "1.2.3")


DELEGATED = made.Made(
    subject=made.name("CN=OCSP"),
    issuer=made.name("CN=CA above"),
    public_key=made.CA_KEY.public_key(),
    purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,),
)
ABOVE = made.replace(
    made.AUTHORITY, subject=made.name("CN=CA above"), public_key=made.OTHER_KEY.public_key()
)


def test_a_delegated_responder_answers_for_its_issuer():
    """RFC 6960 section 4.2.2.2: the key whose certificate is for OCSP signing."""
    own, above = DELEGATED.signed(made.OTHER_KEY), ABOVE.signed(made.OTHER_KEY)
    agent = Agent(issuer=own, above=above)

    assert isinstance(agent.ask(answer(responder=own, issuer=above)), Allowed)
    refused(agent.ask(answer(responder=own, issuer=own)), "another issuer")
    refused(agent.ask(answer(responder=own, issuer=made.CA_CERTIFICATE)), "another issuer")
    refused(agent.ask(answer(responder=above, issuer=above)), "responder is not this key")


@pytest.mark.parametrize(
    ("own", "above", "why"),
    [
        (DELEGATED, None, "is not known"),
        (DELEGATED, b"x", "cannot be read"),
        (DELEGATED, made.CA_CERTIFICATE, "not that of its issuer"),
        (made.replace(DELEGATED, purposes=made.Made().purposes), None, "not one for OCSP"),
    ],
)
def test_a_delegated_responder_needs_its_issuers_certificate(own, above, why):
    """Without it the hashes of its issuer cannot be checked."""
    own = own.signed(made.OTHER_KEY)

    verdict = Agent(issuer=own, above=above).ask(answer(responder=own, issuer=own))

    refused(verdict, why)


def test_a_delegated_responder_signs_no_crl():
    """Its certificate is no authority's."""
    refused(Agent(issuer=DELEGATED.signed(made.OTHER_KEY)).ask(crl(1)), "not that of an authority")
