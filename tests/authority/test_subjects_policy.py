"""Which attributes a subject gets, and how its common name and the names belong together."""

from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type

from pikaserver.api.errors import RequestRejected
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.naming.names import subject_names
from pikaserver.authority.naming.subjects import check_subject, subject

DNS = '[names.dns]\nallow = ["*.example.com"]\ndeny = ["secret.example.com"]'
BMP_STRING = _ASN1Type.BMPString


def dns(*names):
    return tuple(x509.DNSName(name) for name in names)


def common_name(*values):
    return x509.Name(
        [x509.NameAttribute(x509.NameOID.COMMON_NAME, value, _validate=False) for value in values]
    )


def parsed(text):
    return x509.Name.from_rfc4514_string(text)


class TestCommonName:
    """How a common name and the names belong together."""

    def names_and_subject(self, template, request):
        """Walk names and subject as the authority does."""
        trace = DecisionTrace()
        names = subject_names(template, request, trace)
        return names, subject(template, request, names, trace)

    def test_it_must_be_a_name(self, template, request_for):
        """No CN that is not a SAN; the case of letters does not matter."""
        request = request_for(*dns("www.example.com"), subject=common_name("WWW.example.com"))
        other = request_for(*dns("www.example.com"), subject=common_name("api.example.com"))

        _, made = self.names_and_subject(template(names=DNS), request)

        assert common_name("www.example.com") == made
        with pytest.raises(RequestRejected, match=r"CN 'api\.example\.com' is not one of"):
            self.names_and_subject(template(names=DNS), other)

    @pytest.mark.parametrize("value", ["www.ex\u0430mple.com", "\uff37\uff37\uff37.example.com"])
    def test_a_look_alike_of_a_name_is_none(self, template, request_for, value):
        """Letters that look the same are not the same."""
        request = request_for(*dns("www.example.com"), subject=common_name(value))

        with pytest.raises(RequestRejected, match="CN"):
            self.names_and_subject(template(names=DNS), request)

    def test_it_becomes_a_name(self, template, request_for):
        """A requested CN passes the rules on names and stands among them."""
        rules = template('common-name = "becomes-name"', DNS + '\n[names.ip]\nallow = ["*"]')

        names, made = self.names_and_subject(
            rules, request_for(subject=common_name("Www.example.com"))
        )
        addresses, _ = self.names_and_subject(rules, request_for(subject=common_name("::1")))

        assert dns("www.example.com") == names
        assert common_name("www.example.com") == made
        assert (x509.IPAddress(ip_address("::1")),) == addresses
        for bad in ("www.evil.test", "A server", "ann@example.com", "zoë.example.com"):
            with pytest.raises(RequestRejected):
                self.names_and_subject(rules, request_for(subject=common_name(bad)))

    def test_it_is_copied_from_the_first_name(self, template, request_for):
        """Whatever CN was asked for; a name too long for a CN leaves the subject without one."""
        rules = template('common-name = "copy-first-name"', DNS)
        long = "a" * 60 + ".example.com"

        _, made = self.names_and_subject(
            rules, request_for(*dns("b.example.com", "a.example.com"), subject=common_name("x"))
        )
        _, empty = self.names_and_subject(rules, request_for(*dns(long)))

        assert common_name("b.example.com") == made
        assert x509.Name([]) == empty

    def test_it_is_free(self, template, request_for):
        """Any text of people."""
        rules = template('common-name = "free"', DNS)

        _, made = self.names_and_subject(rules, request_for(subject=common_name("Plc 21 (Süd)")))

        assert common_name("Plc 21 (Süd)") == made

    @pytest.mark.filterwarnings("ignore:Attribute's length")  # of cryptography, on the long one
    @pytest.mark.parametrize("value", ["10.0.0.1", "::1", "a\x00b", "a\u202eb", "ü" * 33])
    def test_free_does_not_mean_anything(self, template, request_for, value):
        """No address that is not a name, nothing hidden, nothing too long."""
        rules = template('common-name = "free"', DNS)

        with pytest.raises(RequestRejected):
            self.names_and_subject(rules, request_for(subject=common_name(value)))


class TestSubject:
    """Fixed attributes, requested ones, and what is left out."""

    def make(self, template, request, names=()):
        """Return the subject and the trace."""
        trace = DecisionTrace()
        return subject(template, request, names, trace), trace

    def test_only_what_the_template_takes_is_taken(self, template, request_for):
        """The rest is left out, and the trace says so."""
        rules = template('common-name = "free"\nfixed = { C = "CH" }')
        asked = parsed("CN=a,OU=b,O=c,L=d,C=US")

        made, trace = self.make(rules, request_for(subject=asked))

        assert "CN=a,OU=b,O=c,C=CH" == made.rfc4514_string()
        assert [("subject.fixed", "C='US'"), ("subject.from-request", "L='d'")] == [
            (decision.rule, decision.asked) for decision in trace.decisions if not decision.allowed
        ]

    def test_strings_are_written_anew(self, template, request_for):
        """Whatever string type was asked for, RFC 5280's comes out."""
        asked = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a", BMP_STRING)])

        made, _ = self.make(template('common-name = "free"'), request_for(subject=asked))

        assert common_name("a").public_bytes() == made.public_bytes()

    @pytest.mark.parametrize(
        ("asked", "why"),
        [
            (common_name("a", "b"), "CN more than once"),
            (
                x509.Name([x509.RelativeDistinguishedName([*common_name("a"), *parsed("OU=b")])]),
                "several attributes in one place",
            ),
            (x509.Name([]), "neither subject nor names"),
            (parsed("L=b"), "neither subject nor names"),
        ],
    )
    def test_odd_subjects_are_refused(self, template, request_for, asked, why):
        """Multi-valued, repeated or missing."""
        with pytest.raises(RequestRejected, match=why):
            self.make(template('common-name = "free"'), request_for(subject=asked))

    def test_ou_may_come_again(self, template, request_for):
        """RFC 5280 allows it, and directories need it."""
        asked = parsed("OU=a,OU=b")

        made, _ = self.make(template(), request_for(subject=asked))

        assert asked == made

    def test_required_attributes_must_be_there(self, template, request_for):
        """The text says which one is missing."""
        rules = template('common-name = "free"\nrequired = ["CN", "O"]')

        with pytest.raises(RequestRejected, match="requires O in the subject"):
            self.make(rules, request_for(subject=common_name("a")))

    def test_an_email_address_in_the_subject_is_one_of_the_names(self, template, request_for):
        """An identity is never free text."""
        rules = template(
            'common-name = "free"', '[names.email]\nallow = ["*"]', key='types = ["ec-p256"]'
        )
        asked = x509.Name([x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "ann@example.com")])
        request = request_for(subject=asked)
        object.__setattr__(rules.subject, "from_request", ("CN", "emailAddress"))

        made, _ = self.make(rules, request, (x509.RFC822Name("ann@example.com"),))

        assert asked == made
        with pytest.raises(RequestRejected, match="not one of the subject alternative names"):
            self.make(rules, request)


def test_an_authority_needs_a_whole_fit_subject():
    """What operators type for a CA passes the same checks on values."""
    check_subject(parsed("CN=Root,O=Example,C=CH"), DecisionTrace())

    for bad in ("", "C=ch", "CN=a\\00b", "2.5.4.97=x,1.2.3.4=y"):
        with pytest.raises(RequestRejected):
            check_subject(parsed(bad), DecisionTrace())
