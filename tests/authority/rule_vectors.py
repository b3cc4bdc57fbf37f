"""Certificates that follow or break one rule each."""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID as Access
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

from pikaserver.asn1 import der
from pikaserver.authority.lints import (
    constraints,
    key_identifiers,
    keys,
    pointers,
    private_authority,
    usage,
)

POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")


def octets(key):
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


RSA = octets(rsa.RSAPublicNumbers(65537, 2**2047 + 0x1234567).public_key())
ED25519 = octets(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x07" * 32).public_key())
ML_DSA = octets(mldsa.MLDSA44PrivateKey.from_seed_bytes(b"\x07" * 32).public_key())
SLH_DSA = der.sequence(der.sequence(der.oid("2.16.840.1.101.3.4.3.20")), der.bit_string(bytes(32)))
HASH_SLH_DSA = der.sequence(
    der.sequence(der.oid("2.16.840.1.101.3.4.3.35")), der.bit_string(bytes(32))
)
SHA_1 = der.sequence(der.oid("1.2.840.113549.1.1.5"), der.null())


def leaf(**changes):
    """Return a leaf and its issuer; a change that is a function makes its value."""
    return lambda c: (c.leaf(**_made(c, changes)), c.above)


def root(**changes):
    return lambda c: (c.authority(**_made(c, changes)), None)


def below(above, **changes):
    """Return an authority and the one above it, which has other changes."""
    # With the subject of the one above it would be self-issued, and not count.
    changes = {"subject": lambda c: c.name(O="Example", CN="Subordinate"), **changes}
    return lambda c: (c.authority(**_made(c, changes)), c.authority(**_made(c, above)))


def _made(c, changes):
    return {
        key: value(c) if callable(value) and not isinstance(value, type) else value
        for key, value in changes.items()
    }


def plain(value):
    return lambda c: c.plain(value)


def critical(value):
    return lambda c: c.critical(value)


def bits(*names, critical=True):
    return lambda c: c.usage(*names, critical=critical)


def purposes(*oids):
    return x509.ExtendedKeyUsage(list(oids))


def basic(*, ca, length=None):
    return x509.BasicConstraints(ca=ca, path_length=length)


def points(*urls, kind=x509.CRLDistributionPoints):
    names = [x509.UniformResourceIdentifier(url) for url in urls]
    return kind([x509.DistributionPoint(names, None, None, None)])


def access(url, method=Access.OCSP):
    location = x509.UniformResourceIdentifier(url)
    return x509.AuthorityInformationAccess([x509.AccessDescription(method, location)])


def policies(*qualifiers, times=1):
    return x509.CertificatePolicies(
        [x509.PolicyInformation(POLICY, list(qualifiers) or None)] * times
    )


SUBTREES = x509.NameConstraints([x509.DNSName("example.com")], None)
OPTIONS = x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None)
GOOD, GOOD_ROOT = leaf(), root()
HTTP, HTTPS = "http://pki.example/a.crl", "https://pki.example/a.crl"
VECTORS = [
    (key_identifiers.AuthorityHasItsKeyIdentifier, GOOD_ROOT, root(ski=None)),
    (key_identifiers.HolderHasItsKeyIdentifier, GOOD, leaf(ski=None)),
    (
        key_identifiers.SubjectKeyIdentifierIsNotCritical,
        GOOD,
        leaf(ski=critical(x509.SubjectKeyIdentifier(b"a"))),
    ),
    (key_identifiers.AuthorityKeyIdentifierIsThere, GOOD, leaf(aki=None)),
    (
        key_identifiers.AuthorityKeyIdentifierIsNotCritical,
        GOOD,
        leaf(aki=critical(x509.AuthorityKeyIdentifier(b"\x01" * 20, None, None))),
    ),
    (
        key_identifiers.AuthorityKeyIdentifierIsThatAbove,
        GOOD,
        leaf(aki=plain(x509.AuthorityKeyIdentifier(b"\x09" * 20, None, None))),
    ),
    (
        constraints.BasicConstraintsAreCritical,
        GOOD_ROOT,
        root(basic=plain(basic(ca=True))),
    ),
    (
        constraints.PathLengthNeedsASigningAuthority,
        GOOD_ROOT,
        root(usage=bits("crl_sign")),
    ),
    (
        constraints.PathLengthFitsAbove,
        below({}, basic=critical(basic(ca=True, length=1))),
        below({}, basic=critical(basic(ca=True, length=2))),
    ),
    (constraints.PathLengthFitsAbove, GOOD, below({}, basic=critical(basic(ca=True)))),
    (
        constraints.PathLengthFitsAbove,
        below({"basic": critical(basic(ca=True))}),
        below({"basic": critical(basic(ca=True, length=0))}),
    ),
    (constraints.IssuerMaySign, GOOD, lambda c: (c.leaf(), c.leaf())),
    (
        constraints.IssuerMaySign,
        GOOD_ROOT,
        lambda c: (c.leaf(), c.authority(usage=c.usage("crl_sign"))),
    ),
    (
        constraints.NameConstraintsNeedAnAuthority,
        root(constraints=critical(SUBTREES)),
        leaf(constraints=critical(SUBTREES)),
    ),
    (
        constraints.NameConstraintsAreCritical,
        root(constraints=critical(SUBTREES)),
        root(constraints=plain(SUBTREES)),
    ),
    (
        constraints.PolicyConstraintsAreCritical,
        root(policy=critical(OPTIONS)),
        root(policy=plain(OPTIONS)),
    ),
    (
        constraints.InhibitAnyPolicyIsCritical,
        root(inhibit=critical(x509.InhibitAnyPolicy(0))),
        root(inhibit=plain(x509.InhibitAnyPolicy(0))),
    ),
    (usage.AuthorityMaySign, GOOD_ROOT, root(usage=None)),
    (usage.OnlyAuthoritiesSign, GOOD_ROOT, leaf(usage=bits("key_cert_sign"))),
    (usage.KeyUsageIsCritical, GOOD, leaf(usage=bits("digital_signature", critical=False))),
    (
        usage.KeyUsageIsNotEmpty,
        leaf(usage=bits("key_agreement", "encipher_only")),
        leaf(usage=bits()),
    ),
    (usage.PurposesFitKeyUsage, GOOD, leaf(usage=bits("content_commitment"))),
    (
        usage.AnyPurposeIsNotCritical,
        leaf(purposes=plain(purposes(Purpose.ANY_EXTENDED_KEY_USAGE))),
        leaf(purposes=critical(purposes(Purpose.ANY_EXTENDED_KEY_USAGE))),
    ),
    (
        usage.TimeStampingStandsAlone,
        leaf(purposes=critical(purposes(Purpose.TIME_STAMPING))),
        leaf(purposes=plain(purposes(Purpose.TIME_STAMPING))),
    ),
    (
        usage.TimeStampingStandsAlone,
        GOOD,
        leaf(purposes=critical(purposes(Purpose.TIME_STAMPING, Purpose.CODE_SIGNING))),
    ),
    (
        usage.ResponderNeedsNoCheck,
        leaf(purposes=plain(purposes(Purpose.OCSP_SIGNING)), no_check=plain(x509.OCSPNoCheck())),
        leaf(purposes=plain(purposes(Purpose.OCSP_SIGNING))),
    ),
    (
        pointers.CrlPointersAreNotCritical,
        leaf(cdp=plain(points(HTTP))),
        leaf(cdp=critical(points(HTTP))),
    ),
    (pointers.CrlsComeWithoutTls, leaf(cdp=plain(points(HTTP))), leaf(cdp=plain(points(HTTPS)))),
    (
        pointers.CrlsComeWithoutTls,
        leaf(fresh=plain(points(HTTP, kind=x509.FreshestCRL))),
        leaf(fresh=plain(points(HTTPS, kind=x509.FreshestCRL))),
    ),
    (
        pointers.FreshestCrlIsNotCritical,
        leaf(fresh=plain(points(HTTP, kind=x509.FreshestCRL))),
        leaf(fresh=critical(points(HTTP, kind=x509.FreshestCRL))),
    ),
    (
        pointers.AuthorityInformationIsNotCritical,
        leaf(aia=plain(access(HTTP))),
        leaf(aia=critical(access(HTTP))),
    ),
    (
        pointers.AuthorityInformationIsFetchable,
        leaf(aia=plain(access("ldap://pki.example/cn=a", Access.CA_ISSUERS))),
        leaf(aia=plain(access(HTTPS, Access.CA_ISSUERS))),
    ),
    (
        pointers.AuthorityInformationIsKnown,
        leaf(aia=plain(access(HTTP))),
        leaf(aia=plain(access(HTTP, POLICY))),
    ),
    (
        pointers.PoliciesAreUnique,
        leaf(policies=plain(policies())),
        leaf(policies=plain(policies(times=2))),
    ),
    (
        pointers.NoticesAreShort,
        leaf(policies=plain(policies(x509.UserNotice(None, "a" * 200)))),
        leaf(policies=plain(policies(x509.UserNotice(None, "a" * 201)))),
    ),
    (
        pointers.CpsIsAUrl,
        leaf(policies=plain(policies("https://pki.example/cps"))),
        leaf(policies=plain(policies("ftp://pki.example/cps"))),
    ),
    (keys.MlDsaKeysOnlySign, leaf(spki=ML_DSA), leaf(spki=ML_DSA, usage=bits("key_encipherment"))),
    (
        keys.SlhDsaKeysOnlySign,
        leaf(spki=SLH_DSA),
        leaf(spki=SLH_DSA, usage=bits("key_agreement")),
    ),
    (keys.EdwardsKeysOnlySign, leaf(spki=ED25519), leaf(spki=ED25519, usage=bits("key_agreement"))),
    (
        keys.EllipticCurveKeysDoNotEncipher,
        leaf(usage=bits("key_agreement")),
        leaf(usage=bits("digital_signature", "key_encipherment")),
    ),
    (
        keys.RsaKeysDoNotAgree,
        leaf(spki=RSA, usage=bits("key_encipherment")),
        leaf(spki=RSA, usage=bits("key_agreement")),
    ),
    (keys.KeyAlgorithmIsWrittenAsItsRfcSays, leaf(spki=ML_DSA), leaf(spki=HASH_SLH_DSA)),
    (
        keys.SignatureAlgorithmIsKnown,
        GOOD,
        leaf(inner=SHA_1, outer=SHA_1),
    ),
    (
        keys.IssuerIsNotWeaker,
        lambda c: (c.leaf(spki=ML_DSA), c.authority(spki=ML_DSA)),
        leaf(spki=ML_DSA),
    ),
    (private_authority.SerialHasRoomForEntropy, leaf(serial=2**63), leaf(serial=4711)),
    (private_authority.ServersHaveNames, GOOD, leaf(names=None)),
    (
        private_authority.CommonNameIsAmongTheNames,
        leaf(subject=lambda c: c.name(CN="A server")),
        leaf(subject=lambda c: c.name(CN="other.example.com")),
    ),
    (
        private_authority.CommonNameIsAmongTheNames,
        GOOD,
        leaf(subject=lambda c: c.name(CN="10.0.0.1")),
    ),
]
