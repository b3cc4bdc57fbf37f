"""From an operator's options to what the ceremony needs."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from cryptography import x509

from pikaserver.api.errors import PikaserverError, RequestRejected
from pikaserver.api.signing import KeyImporter, KeyReference, KeyRemover
from pikaserver.asn1.algorithms import default_algorithm, key_type
from pikaserver.asn1.certificate import read_certificate
from pikaserver.asn1.chains import read_certificates
from pikaserver.authority.authorities import AuthoritySettings
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.authority.naming.subject_text import read_subject
from pikaserver.authority.templates.usages import DOTTED_OID
from pikaserver.cli.ca.options import ContentOptions, ImportedKeyOptions, KeyOptions, PointerOptions
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
) -> AuthorityPlan:
    """Return the plan of a new authority.

    Raises:
        RequestRejected: the subject, a policy or a choice of hash cannot be.
        NotFound: no enabled plugin keeps keys of that scheme.
    """
    wanted = key_plan(server, f"{name}-1", key)
    return replace(
        wanted,
        name=name,
        content=_content(content),
        settings=settings(AuthoritySettings(), pointers),
    )


def key_plan(server: PkiServer, default: str, key: KeyOptions) -> AuthorityPlan:
    """Return a plan of which only key, key type and algorithm mean something.

    A key that is there already keeps its type, whatever is the default.
    """
    reference = KeyReference.parse(key.key_ref or f"software:{default}")
    there = {one.reference: one for one in server.signers.backend(reference).keys()}
    known = there[reference].key_type if reference in there else DEFAULT_KEY_TYPE
    kind = key.key or known
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
        RequestRejected: CRLs would end before the next one comes.
    """
    after = AuthoritySettings(
        issuer_urls=pointers.issuer_url or before.issuer_urls,
        crl_urls=pointers.crl_url or before.crl_urls,
        ocsp_urls=pointers.ocsp_url or before.ocsp_urls,
        cps_url=pointers.cps or before.cps_url,
        crl_every_seconds=_seconds(pointers.crl_every, before.crl_every_seconds),
        crl_validity_seconds=_seconds(pointers.crl_validity, before.crl_validity_seconds),
    )
    if not 0 < after.crl_every_seconds < after.crl_validity_seconds:
        raise RequestRejected(
            "--crl-validity has to be longer than --crl-every: else there are times without a CRL"
        )
    return after


def without(before: AuthoritySettings, names: Collection[str]) -> AuthoritySettings:
    """Return settings with some of them as if nobody had ever set them."""
    return AuthoritySettings(
        issuer_urls=() if "issuer-url" in names else before.issuer_urls,
        crl_urls=() if "crl-url" in names else before.crl_urls,
        ocsp_urls=() if "ocsp-url" in names else before.ocsp_urls,
        cps_url=None if "cps" in names else before.cps_url,
        crl_every_seconds=before.crl_every_seconds,
        crl_validity_seconds=before.crl_validity_seconds,
    )


def certificates_in(files: tuple[Path, ...]) -> list[x509.Certificate]:
    """Return all certificates of some files, in PEM, DER or PKCS#7.

    Raises:
        MalformedRequest: one of them holds none, or one that cannot be read.
    """
    return [read_certificate(der) for file in files for der in read_certificates(read_file(file))]


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
        key=KeyReference.parse(key.key_ref or f"software:{name}-1"),
        algorithm=default_algorithm(kind, key.hash, pss=key.pss),
        settings=settings(AuthoritySettings(), pointers),
    )


def _content(content: ContentOptions) -> CaContent:
    for policy in content.policy:
        if not DOTTED_OID.fullmatch(policy):
            raise RequestRejected(f"the policy {policy!r} is no OID like 1.3.6.1.4.1.32473.1")
    return CaContent(
        subject=read_subject(content.subject),
        validity=content.validity,
        path_length=content.path_length,
        permitted_names=content.permit,
        excluded_names=content.exclude,
        policies=content.policy,
        key_usage=("digitalSignature", *_USAGES) if content.digital_signature else _USAGES,
    )


def _seconds(chosen: timedelta | None, before: int) -> int:
    return before if chosen is None else int(chosen.total_seconds())
