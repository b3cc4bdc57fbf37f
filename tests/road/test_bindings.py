"""A credential that is bound to names is good for exactly those, whoever brings it."""

from ipaddress import ip_address

import pytest
from cryptography import x509

from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.authority.bindings import check_binding
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.naming.subject_text import read_subject

WWW, ADDRESS = x509.DNSName("www.example.org"), x509.IPAddress(ip_address("192.0.2.1"))
MAIL = x509.RFC822Name("Anna@example.org")


def fits(make_csr, asked, **bound):
    """Tell whether a request for a subject and names passes."""
    subject, *names = asked
    csr = make_csr("x", names=names)
    object.__setattr__(csr, "subject", read_subject(subject))
    request = EnrollmentRequest(csr, Requester("t", "challenge", **bound), "device", "scep")
    try:
        check_binding(request, DecisionTrace())
    except RequestRejected:
        return False
    return True


@pytest.mark.parametrize(
    ("asked", "good"),
    [
        (("CN=plc-21,O=Acme",), True),
        (("CN=plc-21,O=Acme", x509.DNSName("PLC-21")), True),
        (("CN=plc-21",), False),
        (("O=Acme,CN=plc-21",), False),
        (("CN=plc-21,O=ACME",), False),
        (("CN=plc-21,O=Acme", WWW), False),
    ],
)
def test_a_whole_subject_is_compared_part_by_part(make_csr, asked, good):
    """No part more or less, in its order; other names may repeat its common name alone."""
    bound = read_subject("CN=plc-21,O=Acme")

    assert good is fits(make_csr, asked, bound_subject=bound)


@pytest.mark.parametrize(
    ("asked", "good"),
    [
        (("CN=www.example.org", WWW, ADDRESS), True),
        (("CN=192.0.2.1", ADDRESS, x509.DNSName("WWW.example.org")), True),
        (("O=Acme", ADDRESS, WWW), True),
        (("CN=www.example.org", WWW), False),
        (("CN=www.example.org", WWW, ADDRESS, MAIL), False),
        (("CN=other.example.org", WWW, ADDRESS), False),
        (("CN=www.example.org",), False),
    ],
)
def test_names_are_compared_as_a_whole(make_csr, asked, good):
    """All of them and no other; the common name is one of them, or is not there."""
    assert good is fits(make_csr, asked, bound_names=frozenset({WWW, ADDRESS}))


def test_a_subject_and_names_go_together(make_csr):
    """Then the common name may be something else: it was named, too."""
    both = {"bound_subject": read_subject("CN=Anna"), "bound_names": frozenset({MAIL})}

    assert fits(make_csr, ("CN=Anna", x509.RFC822Name("Anna@EXAMPLE.org")), **both)
    assert not fits(make_csr, ("CN=Anna", x509.RFC822Name("anna@example.org")), **both)
    assert not fits(make_csr, ("CN=Bert", MAIL), **both)
    assert not fits(make_csr, ("CN=Anna",), **both)


def test_who_is_not_bound_may_ask_for_anything(make_csr):
    """The template's rules still count, elsewhere."""
    assert fits(make_csr, ("CN=whoever", WWW, MAIL))
