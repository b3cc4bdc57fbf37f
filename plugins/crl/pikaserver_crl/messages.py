"""What the CRL plugin reads from paths and writes as JSON: file names, serials, records."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.crls import DELTA_CRL, FULL_CRL, shard_scope
from pikaserver.asn1.serials import write_serial

_SERIAL = re.compile(r"(?:0[xX])?([0-9A-Fa-f]+(?::[0-9A-Fa-f]+)*)", re.ASCII)
_SERIAL_DIGITS = 40
_PATH_LIMIT = 100
_PART = re.compile(r"(.+)-(delta|[1-9][0-9]{0,3})", re.ASCII)
_GENERATION = re.compile(r"(.+)\.g([1-9][0-9]{0,5})", re.ASCII)

_STATUS_WORDS = {
    CertificateStatus.VALID: "valid",
    CertificateStatus.ON_HOLD: "revoked",
    CertificateStatus.REVOKED: "revoked",
    CertificateStatus.EXPIRED: "expired",
    # Its serial is reserved; whether it was ever signed is not known, so nobody may rely on it.
    CertificateStatus.PENDING: "not found",
}
NOT_FOUND = "not found"


@dataclass(frozen=True, slots=True)
class FileName:
    """``issuing.g2.crl``: an authority, one of its generations or the current one, a form.

    ``scope`` is that of a CRL: ``issuing.g2-delta.crl``, ``issuing.g2-3.crl``.
    """

    authority: str
    generation: int | None
    form: str
    scope: str = FULL_CRL


def read_file_name(text: str, *forms: str) -> FileName | None:
    """Take a file name apart; ``None`` when it does not end in one of these forms.

    An authority may have dots in its name: the longest form that fits is taken off first,
    then ``.g<N>``.
    """
    for form in sorted(forms, key=len, reverse=True):
        if text.endswith(f".{form}"):
            stem = text.removesuffix(f".{form}")
            numbered = _GENERATION.fullmatch(stem)
            if numbered is not None:
                return FileName(numbered[1], int(numbered[2]), form)
            return FileName(stem, None, form) if stem else None
    return None


def read_crl_name(text: str, authorities: Collection[str]) -> FileName | None:
    """Take the file name of a CRL apart; ``None`` when it is none.

    Authorities that are there go before parts: ``line-1.crl`` is the authority ``line-1``'s
    where there is one, else the first shard of ``line``.
    """
    file = read_file_name(text, "crl", "crl.pem", "pem")
    if file is None or file.authority in authorities:
        return file
    part = _PART.fullmatch(file.authority)
    if part is None:
        return file
    whole = read_file_name(f"{part[1]}.crl", "crl")
    if whole is None:
        return file
    scope = DELTA_CRL if part[2] == DELTA_CRL else shard_scope(int(part[2]))
    return replace(whole, form=file.form, scope=scope)


def status_of(record: CertificateRecord) -> Mapping[str, object]:
    """Return what ``/status/<serial>`` tells of a certificate."""
    word = _STATUS_WORDS[record.status]
    if word == NOT_FOUND:
        return unknown_status(record.serial)
    status: dict[str, object] = {"status": word, **_identity(record)}
    if record.revocation is not None:
        status["revoked_at"] = _time(record.revocation.at)
        status["reason"] = record.revocation.reason.rfc_name
        if record.revocation.invalidity_at is not None:
            status["invalidity_at"] = _time(record.revocation.invalidity_at)
    return status


def unknown_status(serial: int) -> Mapping[str, object]:
    """Return what ``/status/<serial>`` tells of a number that we did not issue."""
    return {"status": NOT_FOUND, "serial": write_serial(serial)}


def expiry_of(record: CertificateRecord) -> Mapping[str, object]:
    """Return one line of ``/expired``: ``expired``, or ``expires soon``."""
    expired = record.status is CertificateStatus.EXPIRED
    return {
        "status": "expired" if expired else "expires soon",
        **_identity(record),
        "names": list(record.names),
        "template": record.template,
    }


def _identity(record: CertificateRecord) -> Mapping[str, object]:
    return {
        "serial": write_serial(record.serial),
        "authority": record.authority,
        "subject": record.subject,
        "not_before": _time(record.not_before),
        "not_after": _time(record.not_after),
    }


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
