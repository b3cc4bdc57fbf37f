"""What lints read of a draft; a draft that cannot be read yields nothing here.

`fields.ExtensionsReadable` reports unreadable extensions, so that the other lints need not.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from cryptography import x509

from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.elements import children
from pikaserver.authority.templates.usages import KEY_USAGES

_Kind = TypeVar("_Kind", bound=x509.ExtensionType)
_Extension = x509.Extension[x509.ExtensionType]
_VERSION = 0xA0
_SPKI = 5
_MOST_VIEWS = 32


class _View:
    """A certificate taken apart once, for all lints look at the same one."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self.certificate = certificate

    @cached_property
    def extensions(self) -> Mapping[type[x509.ExtensionType], _Extension]:
        try:
            return {type(found.value): found for found in self.certificate.extensions}
        except (x509.DuplicateExtension, ValueError):
            return {}

    @cached_property
    def fields(self) -> tuple[bytes, ...]:
        tbs = self.certificate.tbs_certificate_bytes
        return tuple(tbs[found.at : found.end] for found in children(tbs) if found.tag != _VERSION)

    @cached_property
    def key_type(self) -> str:
        return key_type(self.fields[_SPKI])

    @cached_property
    def usages(self) -> frozenset[str]:
        usage = extension(self.certificate, x509.KeyUsage)
        if usage is None:
            return frozenset()
        # cryptography raises on the last two where keyAgreement is not set.
        readable = list(KEY_USAGES.items())[: None if usage.key_agreement else -2]
        return frozenset(name for name, field in readable if getattr(usage, field))


_views: dict[int, _View] = {}


def _view(certificate: x509.Certificate) -> _View:
    # Hashing a certificate takes longer than a lint.  A view holds its certificate, so the
    # number is nobody else's while the view is here.
    view = _views.get(id(certificate))
    if view is None:
        if len(_views) >= _MOST_VIEWS:
            _views.clear()
        view = _views[id(certificate)] = _View(certificate)
    return view


def extension(draft: x509.Certificate, kind: type[_Kind]) -> _Kind | None:
    """Return the value of an extension, ``None`` when it is absent or unreadable."""
    found = _view(draft).extensions.get(kind)
    return found.value if found is not None and isinstance(found.value, kind) else None


def is_critical(draft: x509.Certificate, kind: type[x509.ExtensionType]) -> bool | None:
    """Return whether an extension is critical, ``None`` when it is absent."""
    found = _view(draft).extensions.get(kind)
    return None if found is None else found.critical


def is_authority(draft: x509.Certificate) -> bool:
    """Say whether a certificate is one of a CA."""
    constraints = extension(draft, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def usages(draft: x509.Certificate) -> frozenset[str]:
    """Return the key usages by their RFC names; empty when the extension is absent."""
    return _view(draft).usages


def purposes(draft: x509.Certificate) -> frozenset[x509.ObjectIdentifier]:
    """Return the extended key usages; empty when the extension is absent."""
    found = extension(draft, x509.ExtendedKeyUsage)
    return frozenset(() if found is None else found)


def names(draft: x509.Certificate) -> Sequence[x509.GeneralName]:
    """Return the subject alternative names."""
    found = extension(draft, x509.SubjectAlternativeName)
    return [] if found is None else list(found)


def subject_key_type(draft: x509.Certificate) -> str:
    """Return the type of the certified key, like ``ec-p256``; ``unknown`` for others."""
    return _view(draft).key_type


def tbs_fields(draft: x509.Certificate) -> tuple[bytes, ...]:
    """Return the fields of the TBSCertificate in DER, without the version.

    Serial number, signature, issuer, validity, subject, subjectPublicKeyInfo, and so on.
    """
    return _view(draft).fields
