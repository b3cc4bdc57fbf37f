"""The doctor on the opened server: keys, authorities, CRLs, its own TLS certificates."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from pikaserver.api.certificates import CertificateQuery, CertificateStatus
from pikaserver.api.errors import PikaserverError
from pikaserver.api.operations import HealthState
from pikaserver.api.signing import KeyReference
from pikaserver.asn1.certificate import read_certificate
from pikaserver.asn1.chains import read_certificates
from pikaserver.authority.authorities import IssuingKey
from pikaserver.cli.doctor.findings import Finding, fine, problem, warning
from pikaserver.cli.files import read_file
from pikaserver.own_certificate import PREFIX
from pikaserver.server import PkiServer
from pikaserver.serving import RunningServer
from pikaserver.settings.model import KeySourceKind

_AUTHORITY_WARNING = timedelta(days=90)
_TLS_WARNING = timedelta(days=14)


def server(opened: PkiServer) -> Iterator[Finding]:
    """Look at everything that needs an open server."""
    now = opened.clock()
    yield _doors(opened)
    for name in opened.authorities.names():
        record = opened.authorities.get(name)
        if not record.generations:
            found = "waits for its certificate"
            advice = f"Have its CSR signed ('ca csr {name}'), then 'ca import-signed {name} FILE'."
            yield warning(f"authority {name}", found, advice)
            continue
        current = opened.authorities.key(name)
        yield _expiry(current, now)
        if current.generation.key is not None:
            yield _key(opened, current)
            yield _crl(opened, current, now)
    yield _pointers(opened)
    yield from _tls(opened, now)
    yield from _health(opened)


def _doors(opened: PkiServer) -> Finding:
    try:
        RunningServer(opened)  # built and not started: nothing listens, nothing is signed
    except PikaserverError as error:
        return problem("services", str(error), "Correct the settings: the server cannot start.")
    return fine("services", "every listener serves what it names")


def _expiry(key: IssuingKey, now: datetime) -> Finding:
    name, end = key.authority, key.certificate.not_valid_after_utc
    check, found = f"authority {name}", f"its certificate ends on {end:%Y-%m-%d}"
    advice = f"'ca renew {name}' for the same key, 'ca rekey {name}' for a new one."
    if end <= now:
        return problem(check, found, advice)
    if end <= now + _AUTHORITY_WARNING:
        return warning(check, found, f"{advice} Until then what it issues is cut short.")
    return fine(check, found)


def _key(opened: PkiServer, key: IssuingKey) -> Finding:
    check, reference = f"key of {key.authority}", KeyReference.parse(key.generation.key or "")
    if opened.host.keys.kind is KeySourceKind.PROMPT:
        return fine(check, f"{reference} is sealed; the server asks for the passphrase")
    try:
        opened.signers.open(reference, key.generation.algorithm)
    except PikaserverError as error:
        advice = "Without it nothing can be signed: look at keys.key-encryption-key, or the device."
        return problem(check, str(error), advice)
    return fine(check, f"{reference} is ready")


def _crl(opened: PkiServer, key: IssuingKey, now: datetime) -> Finding:
    name = key.authority
    check, advice = f"crl of {name}", f"Start the server, or run 'pikaserver crl generate {name}'."
    newest = {(one.authority, one.generation): one for one in opened.crls.summaries()}
    crl = newest.get((name, key.generation.number))
    if crl is None:
        return warning(check, "there is none yet", advice)
    found = f"number {crl.number} holds until {crl.next_update:%Y-%m-%d %H:%M} UTC"
    if crl.next_update < now:
        return problem(check, f"{found}: relying parties refuse every certificate", advice)
    return fine(check, found)


def _pointers(opened: PkiServer) -> Finding:
    base = opened.base_url("crl")
    if base is None or base.startswith("https:"):
        advice = "Let a listener without tls serve 'crl', or set server.base-urls.crl to http://."
        return warning("urls", "certificates do not say where their CRL is", advice)
    if (
        opened.host.server.hostname in {None, "localhost"}
        and "crl" not in opened.host.server.base_urls
    ):
        advice = "Set server.hostname to the name by which clients reach this server."
        return warning("urls", f"certificates point to {base}: only this machine finds it", advice)
    return fine("urls", f"certificates point to {base}")


def _tls(opened: PkiServer, now: datetime) -> Iterator[Finding]:
    for name, listener in opened.host.listeners.items():
        if listener.tls is None:
            continue
        check = f"tls of {name}"
        if listener.tls.automatic:
            end = _own_certificate_end(opened)
            found, advice = "none yet; the next start makes one", "Start the server: it renews it."
        else:
            path = opened.host.path(listener.tls.certificate)
            end, advice = _file_end(path), f"Put a new certificate into {path}."
            found = f"{path} cannot be read"
            if end is None:
                yield problem(check, found, advice)
                continue
        yield _end(check, end, now, advice) if end else fine(check, found)


def _end(check: str, end: datetime, now: datetime, advice: str) -> Finding:
    found = f"its certificate ends on {end:%Y-%m-%d}"
    if end <= now:
        return problem(check, found, advice)
    return warning(check, found, advice) if end <= now + _TLS_WARNING else fine(check, found)


def _own_certificate_end(opened: PkiServer) -> datetime | None:
    keys = opened.signers.backend(KeyReference("software", PREFIX)).keys()
    digests = [
        hashlib.sha256(key.public_key).hexdigest()
        for key in keys
        if key.reference.name.startswith(PREFIX)
    ]
    found = (
        record.not_after
        for digest in digests
        for record in opened.certificates.find(
            CertificateQuery(key_hash=digest, status=CertificateStatus.VALID)
        )
    )
    return max(found, default=None)


def _file_end(path: Path) -> datetime | None:
    try:
        return read_certificate(read_certificates(read_file(path))[0]).not_valid_after_utc
    except PikaserverError:
        return None


def _health(opened: PkiServer) -> Iterator[Finding]:
    """Ask what plugins watch; the host's own parts and the CRLs were looked at above."""
    for owner, check in opened.plugins.health_checks(opened.for_plugins):
        if owner in {"host", "crl"}:
            continue
        health = check.check()
        name = f"{owner}: {check.name}"
        if health.state is HealthState.OK:
            yield fine(name, health.detail)
        elif health.state is HealthState.DEGRADED:
            yield warning(name, health.detail, f"See the documentation of plugin {owner!r}.")
        else:
            yield problem(name, health.detail, f"See the documentation of plugin {owner!r}.")
