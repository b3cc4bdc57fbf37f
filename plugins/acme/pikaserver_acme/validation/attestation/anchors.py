"""Whom an attestation's certificates have to lead to."""

import base64
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from importlib.resources import files

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.certificate import read_certificate
from pikaserver.asn1.chains import read_certificates
from pikaserver_acme.validation.attempt import Failed
from pikaserver_acme.validation.attestation.statements import LONGEST_CHAIN

_SHIPPED = {"apple": "apple.pem", "step": "yubico.pem"}


class Anchors:
    """Certificates of an operator or of this program; only self-signed ones are trusted.

    The others may stand between: devices do not always carry all of their chain.
    """

    def __init__(self, pems: Sequence[str]) -> None:
        known = [read_certificate(one) for pem in pems for one in read_certificates(pem.encode())]
        self._roots = [one for one in known if one.issuer == one.subject and _signed(one, one)]
        self._others = [one for one in known if one not in self._roots]

    @property
    def has_roots(self) -> bool:
        """Whether anything can be trusted because of them."""
        return bool(self._roots)

    def leaf(self, chain: Sequence[bytes], now: datetime) -> x509.Certificate:
        """Return the first certificate of a chain, which leads to a root.

        Raises:
            Failed: it leads to none, or a certificate on the way does not allow it.
        """
        try:
            leaf, *given = [read_certificate(one) for one in chain]
        except MalformedRequest as error:
            raise _refused(f"a certificate cannot be read: {error}") from error
        _check_end(leaf)
        candidates = [*given, *self._others]
        current = leaf
        for below in range(LONGEST_CHAIN):
            _check_dates(current, now)
            if any(_issued(current, root, below) for root in self._roots):
                return leaf
            above = [one for one in candidates if _issued(current, one, below)]
            if not above:
                break
            current = above[0]
            candidates.remove(current)
        raise _refused(f"no trusted root stands above {_name(current.issuer)}")


def anchors(kind: str, configured: Sequence[str]) -> Anchors:
    """Return those of a policy for a format, or else those that come along.

    Raises:
        Failed: there are none, or they cannot be read.
    """
    if configured:
        return _read(tuple(configured))
    if kind not in _SHIPPED:
        raise _refused(f"the policy names no root for the format {kind!r}")
    return _shipped(_SHIPPED[kind])


@lru_cache(maxsize=16)
def _read(pems: tuple[str, ...]) -> Anchors:
    try:
        return Anchors(pems)
    except MalformedRequest as error:
        raise Failed("serverInternal", f"a root of the policy cannot be read: {error}") from error


@lru_cache(maxsize=4)
def _shipped(name: str) -> Anchors:
    return Anchors([files(__package__).joinpath(name).read_text(encoding="ascii")])


def _check_end(leaf: x509.Certificate) -> None:
    for one in leaf.extensions:
        if one.critical and isinstance(one.value, x509.UnrecognizedExtension):
            raise _refused(f"the critical extension {one.oid.dotted_string} is not known here")
    if _constraints(leaf) is not None and _is_authority(leaf, 0):
        raise _refused("the attestation's own certificate is that of an authority")


def _check_dates(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise _refused(f"the certificate of {_name(certificate.subject)} is not valid now")


def _issued(certificate: x509.Certificate, issuer: x509.Certificate, below: int) -> bool:
    """Tell whether an authority issued a certificate, with so many authorities below it."""
    return _is_authority(issuer, below) and _signed(certificate, issuer)


def _is_authority(certificate: x509.Certificate, below: int) -> bool:
    constraints = _constraints(certificate)
    if constraints is None or not constraints.ca:
        return False
    if constraints.path_length is not None and constraints.path_length < below:
        return False
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return usage.key_cert_sign


def _constraints(certificate: x509.Certificate) -> x509.BasicConstraints | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return None


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _name(name: x509.Name) -> str:
    return name.rfc4514_string() or base64.b64encode(name.public_bytes()).decode()


def _refused(why: str) -> Failed:
    return Failed("badAttestationStatement", why)
