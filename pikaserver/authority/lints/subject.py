"""Lints of issuer and subject (RFC 5280 sections 4.1.2.4 and 4.1.2.6)."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import Lint, Severity
from pikaserver.asn1.elements import children
from pikaserver.authority.lints.reading import is_authority, tbs_fields
from pikaserver.authority.naming.attributes import attribute_of, check_value, short_name

_ISSUER, _SUBJECT = 2, 4
_TELETEX, _UNIVERSAL, _BMP = 0x14, 0x1C, 0x1E
_COUNTRIES = (NameOID.COUNTRY_NAME, NameOID.JURISDICTION_COUNTRY_NAME)


class IssuerIsNotEmpty:
    """The issuer is named."""

    citation = "RFC 5280 section 4.1.2.4"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        return None if draft.issuer.rdns else "the issuer is empty"


class IssuerIsTheSubjectAbove:
    """The issuer is, octet by octet, the subject of the certificate above."""

    citation = "RFC 5280 section 6.1.3"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        above = draft if issuer is None else issuer
        if tbs_fields(draft)[_ISSUER] != tbs_fields(above)[_SUBJECT]:
            return "the issuer is not the subject of the certificate above"
        return None


class AuthorityHasASubject:
    """A CA certificate has a subject."""

    citation = "RFC 5280 section 4.1.2.6"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if is_authority(draft) and not draft.subject.rdns:
            return "a CA certificate must have a subject"
        return None


class AttributesAreFit:
    """Values keep the upper bounds and alphabets of their attribute types."""

    citation = "RFC 5280 appendix A.1"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        for attribute in draft.subject:
            known = attribute_of(attribute.oid)
            if known is None or isinstance(attribute.value, bytes):
                continue
            try:
                check_value(known, attribute.value)
            except RequestRejected as problem:
                return f"the subject's {known.short}: {problem}"
        return None


class CountriesHaveTwoLetters:
    """A country is a code of two capital letters."""

    citation = "RFC 5280 appendix A.1"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        for oid in _COUNTRIES:
            for attribute in draft.subject.get_attributes_for_oid(oid):
                code = str(attribute.value)
                if not (len(code) == 2 and code.isascii() and code.isupper()):  # noqa: PLR2004 - ISO 3166
                    return f"{code!r} is not a country's two capital letters"
        return None


class StringsAreModern:
    """Names are written in PrintableString or UTF8String, where DirectoryString has a choice."""

    citation = "RFC 5280 section 4.1.2.4"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        tags = set(_value_tags(tbs_fields(draft)[_SUBJECT]))
        if tags & {_TELETEX, _UNIVERSAL, _BMP}:
            return "the subject has a TeletexString, UniversalString or BMPString"
        return None


class AttributesStandAlone:
    """Each place of the subject holds one attribute, and only OU and DC come again."""

    citation = "CA/Browser Forum Baseline Requirements section 7.1.4.2"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if any(len(list(rdn)) > 1 for rdn in draft.subject.rdns):
            return "the subject has several attributes in one place"
        oids = [attribute.oid for attribute in draft.subject]
        for oid in set(oids):
            known = attribute_of(oid)
            if oids.count(oid) > 1 and not (known is not None and known.repeatable):
                return f"the subject has {short_name(oid)} more than once"
        return None


class NoEmailInSubject:
    """E-mail addresses belong into the subject alternative name."""

    citation = "RFC 5280 section 4.1.2.6"
    severity = Severity.WARNING

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if draft.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
            return "emailAddress in the subject is deprecated"
        return None


def _value_tags(name: bytes) -> Iterator[int]:
    """Find the types of the values in a Name: a SEQUENCE of SETs of pairs of OID and value."""
    for rdn in children(name):
        for pair in children(name, rdn.at):
            yield list(children(name, pair.at))[1].tag


LINTS: tuple[Lint, ...] = (
    IssuerIsNotEmpty(),
    IssuerIsTheSubjectAbove(),
    AuthorityHasASubject(),
    AttributesAreFit(),
    CountriesHaveTwoLetters(),
    StringsAreModern(),
    AttributesStandAlone(),
    NoEmailInSubject(),
)
