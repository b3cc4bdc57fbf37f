"""From an operator's options to what the ceremony needs."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.errors import NotFound, PikaserverError, RequestRejected
from pikaserver.api.signing import KeyImporter, KeyReference, KeyRemover
from pikaserver.asn1.algorithms import default_algorithm, key_type
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.asn1.chains import read_certificates
from pikaserver.authority.authorities import AuthoritySettings
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.authority.naming.subject_text import read_subject
from pikaserver.authority.templates.usages import DOTTED_OID
from pikaserver.authority.urls import SHARD_PLACE
from pikaserver.cli.ca.options import ContentOptions, ImportedKeyOptions, KeyOptions
from pikaserver.cli.ca.pointer_options import PointerOptions
from pikaserver.cli.ca.services import with_changes
from pikaserver.cli.files import read_file
from pikaserver.cli.options import DEFAULT_KEY_TYPE
from pikaserver.server import PkiServer

_USAGES = ("keyCertSign", "cRLSign")


def plan(
    server: PkiServer,
    name: str,
    key: KeyOptions,
    content: ContentOptions,
    pointers: PointerOptions,
    parent: str | None = None,
) -> AuthorityPlan:
    """Return the plan of a new authority; a parent gives it what its subject has beside CN.

    Raises:
        RequestRejected: the subject, a policy or a choice of hash cannot be.
        NotFound: no enabled plugin keeps keys of that scheme.
    """
    wanted = key_plan(server, f"{name}-1", key)
    return replace(
        wanted,
        name=name,
        content=_content(content, _subject(server, name, content.subject, parent)),
        settings=settings(AuthoritySettings(), pointers),
    )


def key_plan(server: PkiServer, default: str, key: KeyOptions) -> AuthorityPlan:
    """Return a plan of which only key, key type and algorithm mean something.

    A key that is there already keeps its type, whatever is the default.
    """
    reference = KeyReference.parse(key.key or f"software:{default}")
    there = server.signers.find(reference)
    kind = key.key_type or (there.key_type if there else DEFAULT_KEY_TYPE)
    return AuthorityPlan(
        name="",
        content=CaContent(x509.Name([])),
        key_type=kind,
        key=reference,
        algorithm=default_algorithm(kind, key.hash, pss=key.pss),
    )


def settings(before: AuthoritySettings, pointers: PointerOptions) -> AuthoritySettings:
    """Return settings with those replaced that an option names.

    Raises:
        RequestRejected: CRLs would end before the next one comes, or parts have no URL.
    """
    every = _seconds(pointers.crl_every, before.crl_every_seconds)
    validity = _seconds(pointers.crl_validity, before.crl_validity_seconds)
    if pointers.crl_overlap is not None:
        validity = every + int(pointers.crl_overlap.total_seconds())
    changes = {
        "issuer_urls": pointers.issuer_url or None,
        "crl_urls": pointers.crl_url or None,
        "ocsp_urls": pointers.ocsp_url or None,
        "cps_url": pointers.cps or None,
        "crl_every_seconds": every,
        "crl_validity_seconds": validity,
        "crl_on_revocation": pointers.crl_at_once,
        "crl_deltas": pointers.crl_deltas,
        "crl_delta_every_seconds": _seconds(
            pointers.crl_delta_every, before.crl_delta_every_seconds
        ),
        "crl_delta_validity_seconds": _seconds(
            pointers.crl_delta_validity, before.crl_delta_validity_seconds
        ),
        "crl_delta_urls": pointers.crl_delta_url or None,
        "crl_shards": pointers.crl_shards,
        "crl_full": pointers.crl_full,
        "crl_keep_expired": pointers.crl_keep_expired,
        "services": with_changes(before.services, pointers.service),
    }
    after = before.model_copy(
        update={name: value for name, value in changes.items() if value is not None}
    )
    _check_crls(after)
    return after


def _check_crls(after: AuthoritySettings) -> None:
    if not 0 < after.crl_every_seconds < after.crl_validity_seconds:
        raise RequestRejected(
            "--crl-validity has to be longer than --crl-every: else there are times without a CRL"
        )
    if not 0 < after.crl_delta_every_seconds < after.crl_delta_validity_seconds:
        raise RequestRejected("--crl-delta-validity has to be longer than --crl-delta-every")
    if after.crl_shards and any(SHARD_PLACE not in url for url in after.crl_urls):
        raise RequestRejected(
            f"each --crl-url needs {SHARD_PLACE} in it, where the number of a part goes"
        )


def without(before: AuthoritySettings, names: Collection[str]) -> AuthoritySettings:
    """Return settings with some of them as if nobody had ever set them."""
    fields = {
        "issuer-url": "issuer_urls",
        "crl-url": "crl_urls",
        "crl-delta-url": "crl_delta_urls",
        "ocsp-url": "ocsp_urls",
        "cps": "cps_url",
    }
    defaults = AuthoritySettings()
    update = {fields[name]: getattr(defaults, fields[name]) for name in names}
    return before.model_copy(update=update)


def certificates_in(files: tuple[Path, ...]) -> list[x509.Certificate]:
    """Return all certificates of some files, in PEM, DER or PKCS#7.

    Raises:
        MalformedRequest: one of them holds none, or one that cannot be read.
    """
    return [read_certificate(der) for file in files for der in read_certificates(read_file(file))]


def its_key(
    server: PkiServer, key: ImportedKeyOptions, certificates: list[x509.Certificate]
) -> bytes:
    """Return the public key of an authority that brings none: a backend's, or its certificate's.

    Raises:
        NotFound: the backend has no such key.
        RequestRejected: there is no certificate.
    """
    if key.key is not None:
        found = server.signers.find(KeyReference.parse(key.key))
        if found is None:
            raise NotFound(f"there is no key {key.key}")
        return found.public_key
    if not certificates:
        raise RequestRejected("name the authority's certificate: --certificate FILE")
    return public_key_of(certificates[0])


def take_over(
    server: PkiServer,
    wanted: AuthorityPlan,
    pkcs8: bytes,
    certificates: list[x509.Certificate],
    actor: str,
) -> None:
    """Import a key and make an authority of it; when that fails the key is not kept.

    Raises:
        RequestRejected: the backend takes no keys, or the certificates are not fit.
    """
    backend = server.signers.backend(wanted.key)
    if not isinstance(backend, KeyImporter):
        raise RequestRejected(f"keys cannot be imported into {backend.scheme!r}")
    backend.import_key(wanted.key, pkcs8, exportable=False)
    try:
        server.ceremony.import_existing(wanted, certificates, actor)
    except PikaserverError:
        if isinstance(backend, KeyRemover):
            backend.remove_key(wanted.key)
        raise


def imported_plan(
    name: str, spki: bytes, key: ImportedKeyOptions, pointers: PointerOptions
) -> AuthorityPlan:
    """Return the plan of an authority whose key was made elsewhere."""
    kind = key_type(spki)
    return AuthorityPlan(
        name=name,
        content=CaContent(x509.Name([])),
        key_type=kind,
        key=KeyReference.parse(key.key or f"software:{name}-1"),
        algorithm=default_algorithm(kind, key.hash, pss=key.pss),
        settings=settings(AuthoritySettings(), pointers),
    )


def _subject(server: PkiServer, name: str, wanted: str | None, parent: str | None) -> x509.Name:
    if wanted is not None:
        return read_subject(wanted)
    above = server.authorities.key(parent).certificate.subject if parent else ()
    return x509.Name(
        [
            *(one for one in above if one.oid != NameOID.COMMON_NAME),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _content(content: ContentOptions, subject: x509.Name) -> CaContent:
    for policy in content.policy:
        if not DOTTED_OID.fullmatch(policy):
            raise RequestRejected(f"the policy {policy!r} is no OID like 1.3.6.1.4.1.32473.1")
    return CaContent(
        subject=subject,
        validity=content.validity,
        path_length=content.path_length,
        permitted_names=content.permit,
        excluded_names=content.exclude,
        policies=content.policy,
        key_usage=("digitalSignature", *_USAGES) if content.digital_signature else _USAGES,
    )


def _seconds(chosen: timedelta | None, before: int) -> int:
    return before if chosen is None else int(chosen.total_seconds())
