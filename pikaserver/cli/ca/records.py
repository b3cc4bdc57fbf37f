"""How authorities look as records."""

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from pikaserver.api.certificates import AuthorityRecord, Generation
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.certificate import public_key_of
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.serials import write_serial
from pikaserver.authority.authorities import AuthoritySettings
from pikaserver.authority.naming.subject_text import write_subject
from pikaserver.authority.templates.durations import write_duration
from pikaserver.cli.ca.services import in_words
from pikaserver.cli.cert.extension_text import extension_texts
from pikaserver.cli.output import Record
from pikaserver.server import PkiServer


def authority_row(record: AuthorityRecord) -> Record:
    """Return the columns of a list."""
    current = _current(record)
    own = current and x509.load_der_x509_certificate(current.certificate)
    return {
        "name": record.name,
        "state": _state(record),
        "subject": _subject(record),
        "issuer": own and _issuer(own),
        "algorithm": current and current.algorithm,
        "not_after": own and own.not_valid_after_utc,
    }


def authority_details(server: PkiServer, record: AuthorityRecord) -> Record:
    """Return everything about an authority."""
    current = _current(record)
    settings = server.authorities.settings(record.name)
    details: dict[str, object] = {
        "name": record.name,
        "state": _state(record),
        "subject": _subject(record),
    }
    if current is not None:
        details |= _certificate(current)
        details["generation"] = f"{current.number} of {len(record.generations)}"
        details["further_certificates"] = sum(len(one.others) for one in record.generations)
        details |= _prepared(record, settings)
        details |= _urls(server, record.name)
        if record.waiting_csr is not None:
            details["waiting"] = "a CSR: have it signed ('ca csr'), then 'ca import-signed'"
    return details | _crls(settings)


def _certificate(generation: Generation) -> dict[str, object]:
    own = x509.load_der_x509_certificate(generation.certificate)
    return {
        "issuer": _issuer(own),
        "serial": write_serial(own.serial_number),
        "fingerprint": own.fingerprint(SHA256()).hex(),
        "not_before": own.not_valid_before_utc,
        "not_after": own.not_valid_after_utc,
        "key": generation.key or "elsewhere",
        "key_type": key_type(public_key_of(own)),
        "algorithm": generation.algorithm,
        **extension_texts(own.extensions),
    }


def _prepared(record: AuthorityRecord, settings: AuthoritySettings) -> dict[str, object]:
    """Tell of the key that comes next, and when."""
    coming = record.prepared
    if coming is None:
        return {}
    own = x509.load_der_x509_certificate(coming.certificate)
    at = settings.takes_over_at
    return {
        "prepared": f"generation {coming.number}, {coming.key}",
        "prepared_fingerprint": own.fingerprint(SHA256()).hex(),
        "prepared_not_after": own.not_valid_after_utc,
        "takes_over": at or "when 'ca rekey --activate' says so",
    }


def _urls(server: PkiServer, name: str) -> dict[str, object]:
    pointers = server.urls.of(server.authorities.key(name))
    return {"issuer_urls": pointers.issuer, "crl_urls": pointers.crl, "ocsp_urls": pointers.ocsp}


def _crls(settings: AuthoritySettings) -> dict[str, object]:
    return {
        "cps_url": settings.cps_url,
        "crl_every": write_duration(timedelta(seconds=settings.crl_every_seconds)),
        "crl_validity": write_duration(timedelta(seconds=settings.crl_validity_seconds)),
        "crl_at_once": settings.crl_on_revocation,
        "crl_deltas": settings.crl_deltas,
        "crl_delta_every": write_duration(timedelta(seconds=settings.crl_delta_every_seconds)),
        "crl_delta_validity": write_duration(
            timedelta(seconds=settings.crl_delta_validity_seconds)
        ),
        "crl_shards": settings.crl_shards,
        "crl_full": settings.crl_full,
        "crl_keep_expired": settings.crl_keep_expired,
        "services": in_words(settings.services),
    }


def _current(record: AuthorityRecord) -> Generation | None:
    return next((one for one in record.generations if one.current), None)


def _state(record: AuthorityRecord) -> str:
    if not record.generations:
        return "waiting for its certificate"
    return "enabled" if record.enabled else "disabled"


def _subject(record: AuthorityRecord) -> str | None:
    current = _current(record)
    if current is not None:
        return write_subject(x509.load_der_x509_certificate(current.certificate).subject)
    return write_subject(read_csr(record.waiting_csr).subject) if record.waiting_csr else None


def _issuer(own: x509.Certificate) -> str:
    return "itself" if own.issuer == own.subject else write_subject(own.issuer)
