"""Subjects are read as people type them, and written so that they are read again."""

import contextlib

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import RequestRejected
from pikaserver.authority.naming.attributes import ATTRIBUTES
from pikaserver.authority.naming.subject_text import read_subject, write_subject

FREE = [short for short, known in ATTRIBUTES.items() if known.form == "utf8"]
WORDS = st.text("abcXYZ019 ,+\"\\<>;=#'/äß", min_size=1, max_size=30).map(str.strip)


@given(st.dictionaries(st.sampled_from(FREE), WORDS.filter(bool), min_size=1))
def test_what_is_written_is_read_again(values):
    """Whatever characters the values have, as far as the attributes take them."""
    name = x509.Name(
        [x509.NameAttribute(ATTRIBUTES[short].oid, value) for short, value in values.items()]
    )

    with contextlib.suppress(RequestRejected):  # the policy on values has tests of its own
        assert name == read_subject(write_subject(name))


@given(st.text())
def test_no_text_breaks_the_reader(text):
    """It is a name, or it is refused."""
    with contextlib.suppress(RequestRejected):
        assert list(read_subject(text))


@pytest.mark.parametrize(
    "text",
    [
        "CN=Root,O=Acme,C=CH",
        "cn=Root, o=Acme, c=CH",
        "/C=CH/O=Acme/CN=Root",
        "commonName=Root,organizationName=Acme,countryName=CH",
        "2.5.4.3=Root,2.5.4.10=Acme,2.5.4.6=CH",
    ],
)
def test_one_name_has_many_spellings(text):
    """RFC 4514's, with blanks, openssl's, long names and OIDs."""
    assert "CN=Root,O=Acme,C=CH" == write_subject(read_subject(text))


def test_every_attribute_has_its_name():
    """Those of the card: C, ST, L, O, OU, CN, serialNumber, DC, emailAddress, UID and more."""
    text = (
        "CN=a,UID=b,serialNumber=c,GN=d,SN=e,title=f,OU=g,organizationIdentifier=h,O=i,"
        "postalCode=j,street=k,L=l,ST=m,C=CH,DC=example,DC=com"
    )

    assert text == write_subject(read_subject(text))
    mail = read_subject("E=a@example.com").get_attributes_for_oid(NameOID.EMAIL_ADDRESS)
    assert "a@example.com" == mail[0].value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the subject is empty"),
        ("Acme", "is not a subject like"),
        ("CN=a,,O=b", "is not a subject like"),
        ("X=1", "attributes are: "),
        ("/X=1", "attributes are: "),
        ("CN=a\0b", "is not a subject like"),
        ("CN=a,CN=b", "CN more than once"),
        ("C=ch", "two capital letters"),
        ("CN=a+O=b", "several attributes in one place"),
        ("2.5.4.12345=x", "not an attribute that subjects have here"),
    ],
)
def test_what_is_no_subject_is_refused_in_words(text, why):
    """With what would have been right."""
    with pytest.raises(RequestRejected, match=why):
        read_subject(text)
