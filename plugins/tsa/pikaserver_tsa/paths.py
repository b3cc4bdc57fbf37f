"""The path from a unit's certificate to one that is trusted, as of the stamped time."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from pikaserver.api.errors import MalformedRequest, RequestRejected, SignatureFaulty
from pikaserver.asn1.algorithms import algorithm_of, verify
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.asn1.elements import members

LONGEST_PATH = 8
Kind = TypeVar("Kind", bound=x509.ExtensionType)


def check_purpose(certificate: x509.Certificate) -> None:
    """Return when this is a time-stamp unit's certificate (RFC 3161 section 2.3).

    Raises:
        RequestRejected: it is for something else, or for something else, too.
    """
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        raise RequestRejected("the certificate is not one for time-stamping") from None
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise RequestRejected("the certificate is not for time-stamping alone, or not critically")


def find_path(
    certificate: bytes, others: Sequence[bytes], trusted: Sequence[bytes], at: datetime
) -> list[bytes]:
    """Return the path from a certificate to a trusted one, as it held at some time.

    Signatures, names, times, CA flags, key usages and path lengths are checked; name
    constraints are not, for a unit has no name that they could be about.

    Raises:
        RequestRejected: there is none.
    """
    path, current = [certificate], read_certificate(certificate)
    _check_time(current, at)
    # What is trusted comes first: no way round by a cross-certificate then.
    known = [(octets, one) for octets in (*trusted, *others) if (one := _readable(octets))]
    while path[-1] not in trusted:
        if len(path) > LONGEST_PATH:
            raise RequestRejected("the path is too long")
        found = next(_issuers(current, known, len(path) - 1, at), None)
        if found is None:
            who = current.issuer.rfc4514_string()
            raise RequestRejected(f"no certificate of the issuer {who!r} is known that fits")
        octets, current = found
        path.append(octets)
    return path


def _readable(octets: bytes) -> x509.Certificate | None:
    """Return a certificate, or nothing: one that nobody can read is of no use in a path."""
    try:
        return read_certificate(octets)
    except MalformedRequest:
        return None


def _check_time(certificate: x509.Certificate, at: datetime) -> None:
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        who = certificate.subject.rfc4514_string()
        raise RequestRejected(f"the certificate of {who!r} did not hold at that time")


def _issuers(
    certificate: x509.Certificate,
    known: Sequence[tuple[bytes, x509.Certificate]],
    below: int,
    at: datetime,
) -> Iterator[tuple[bytes, x509.Certificate]]:
    """Yield whose certificates may stand above this one; ``below`` counts the CAs under them."""
    for octets, one in known:
        in_time = one.not_valid_before_utc <= at <= one.not_valid_after_utc
        named = certificate.issuer == one.subject
        if in_time and named and _may_issue(one, below) and _is_signed_by(certificate, one):
            yield octets, one


def _may_issue(issuer: x509.Certificate, below: int) -> bool:
    constraints = _extension(issuer, x509.BasicConstraints)
    usage = _extension(issuer, x509.KeyUsage)
    if constraints is None or not constraints.ca or (usage and not usage.key_cert_sign):
        return False
    return constraints.path_length is None or constraints.path_length >= below


def _is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    octets = certificate.public_bytes(Encoding.DER)
    outer = members(octets, "a certificate")[1]
    try:
        verify(
            public_key_of(issuer),
            algorithm_of(octets[outer.at : outer.end]),
            certificate.signature,
            certificate.tbs_certificate_bytes,
        )
    except (MalformedRequest, SignatureFaulty):
        return False
    return True


def _extension(certificate: x509.Certificate, kind: type[Kind]) -> Kind | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
