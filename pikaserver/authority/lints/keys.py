"""Lints of subject keys: what they can do, and how their algorithm is written."""

from cryptography import x509

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.issuance import Lint, Severity
from pikaserver.asn1.algorithms import KEY_TYPES, SIGNATURE_ALGORITHMS
from pikaserver.asn1.composite import COMPOSITES
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES, PREFIX, check_encapsulation_key
from pikaserver.authority.lints.reading import (
    is_authority,
    subject_key_type,
    tbs_fields,
    usages,
)
from pikaserver.authority.templates.usages import usages_of


class MlDsaKeysOnlySign:
    """An ML-DSA key is for nothing that encrypts or agrees on keys."""

    citation = "RFC 9881 section 5"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        return _misuse(draft, "ml-dsa-")


class SlhDsaKeysOnlySign:
    """An SLH-DSA key is for nothing that encrypts or agrees on keys."""

    citation = "RFC 9909 section 6"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        return _misuse(draft, "slh-dsa-")


class MlKemKeysOnlyEncipher:
    """An ML-KEM key is for keyEncipherment alone, and never a CA's."""

    citation = "RFC 9935 section 5"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if subject_key_type(draft).startswith(PREFIX) and is_authority(draft):
            return "an ML-KEM key cannot be a CA's: it does not sign"
        return _misuse(draft, PREFIX)


class EncapsulationKeyIsWellFormed:
    """An ML-KEM key has its length and reduced coefficients."""

    citation = "RFC 9935 section 4 and FIPS 203 section 7.2"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if subject_key_type(draft).startswith(PREFIX):
            try:
                check_encapsulation_key(tbs_fields(draft)[_SPKI])
            except MalformedRequest as problem:
                return str(problem)
        return None


class EdwardsKeysOnlySign:
    """An Ed25519 or Ed448 key is for nothing that encrypts or agrees on keys."""

    citation = "RFC 8410 section 5 and RFC 9295 section 3"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        return _misuse(draft, "ed")


class EllipticCurveKeysDoNotEncipher:
    """An EC key has neither keyEncipherment nor dataEncipherment."""

    citation = "RFC 5480 section 3 and RFC 8813 section 3"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        return _misuse(draft, "ec-")


class RsaKeysDoNotAgree:
    """An RSA key has no keyAgreement."""

    citation = "RFC 3279 section 2.3.1"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        return _misuse(draft, "rsa-")


class KeyAlgorithmIsWrittenAsItsRfcSays:
    """Parameters of the key's algorithm: NULL for RSA, a named curve for EC, else absent."""

    citation = (
        "RFC 3279 section 2.3.1, RFC 5480 section 2.1.1, RFC 8410 section 3, RFC 9881 section 2,"
        " RFC 9909 section 3, RFC 9935 section 3"
    )
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if subject_key_type(draft) == "unknown":
            return "the public key's algorithm or its parameters are not those of a known type"
        return None


class SignatureAlgorithmIsKnown:
    """The signature's algorithm is in our table, parameters included."""

    citation = (
        "RFC 4055 section 5, RFC 5758 section 3.2, RFC 8410 section 3, RFC 9881 section 2, "
        "RFC 9909 section 3"
    )
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if tbs_fields(draft)[_SIGNATURE] not in _IDENTIFIERS:
            return "the signature algorithm or its parameters are not in the table"
        return None


class IssuerIsNotWeaker:
    """A post-quantum key is not certified by one of a lower security category."""

    citation = "NIST SP 800-57 part 1 section 5.6.2"
    severity = Severity.WARNING

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if issuer is not None and _category(issuer) < _category(draft):
            return "the issuer's key is of a lower security category than the certified one"
        return None


_SIGNATURE = 1
_SPKI = 5
_IDENTIFIERS = frozenset(entry.identifier for entry in SIGNATURE_ALGORITHMS.values())


def _misuse(draft: x509.Certificate, family: str) -> str | None:
    name = subject_key_type(draft)
    if not name.startswith(family):
        return None
    wrong = usages(draft) - usages_of(name)
    return f"a {name} key cannot be used for {', '.join(sorted(wrong))}" if wrong else None


def _category(certificate: x509.Certificate) -> int:
    name = subject_key_type(certificate)
    known = KEY_TYPES.get(name) or KEM_KEY_TYPES.get(name) or COMPOSITES.get(name)
    return 0 if known is None else known.category


LINTS: tuple[Lint, ...] = (
    MlDsaKeysOnlySign(),
    SlhDsaKeysOnlySign(),
    MlKemKeysOnlyEncipher(),
    EncapsulationKeyIsWellFormed(),
    EdwardsKeysOnlySign(),
    EllipticCurveKeysDoNotEncipher(),
    RsaKeysDoNotAgree(),
    KeyAlgorithmIsWrittenAsItsRfcSays(),
    SignatureAlgorithmIsKnown(),
    IssuerIsNotWeaker(),
)
