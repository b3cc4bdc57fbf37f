"""Pairs of certificates: what is asked for beside the first one; pairs are shown."""

from dataclasses import dataclass, field

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.errors import Conflict
from pikaserver.api.issuance import CertificationRequest
from pikaserver.asn1.csr import read_csr, read_csr_text
from pikaserver.asn1.serials import write_serial
from pikaserver.cli.cert.pair_options import PairOptions
from pikaserver.cli.cert.wished_names import WishedNames
from pikaserver.cli.files import read_file
from pikaserver.cli.local_keys import make_local_key
from pikaserver.cli.output import Record
from pikaserver.cli.records import certificate_row
from pikaserver.server import PkiServer


def check_files(pairing: PairOptions) -> None:
    """Find out before anything is signed what could not be written afterwards.

    Raises:
        Conflict: the file for the key exists.
    """
    if pairing.pair_key_out is not None and pairing.pair_key_out.exists():
        raise Conflict(f"{pairing.pair_key_out} exists already; it is not overwritten")


@dataclass(frozen=True, slots=True)
class SecondWish:
    """The request for the second certificate, with its key (PKCS#8 DER) if it was made here."""

    template: str | None
    csr: CertificationRequest
    key: bytes | None = field(default=None, repr=False)


def second_wish(pairing: PairOptions, names: WishedNames) -> SecondWish | None:
    """Return what is asked for beside the first certificate, if anything is.

    Raises:
        RequestRejected: a name or the request cannot be read.
    """
    if not pairing.is_wanted:
        return None
    if pairing.pair_csr is not None:
        return SecondWish(pairing.pair, read_csr_text(read_file(pairing.pair_csr)))
    key = make_local_key(pairing.pair_key_type)
    return SecondWish(pairing.pair, read_csr(key.csr(names)), key.pkcs8)


def pair_rows(server: PkiServer, record: CertificateRecord) -> list[Record]:
    """Return a certificate and those that are bound to it, with what there is to be done."""
    others = server.pairs.of(record)
    rows: list[Record] = [{**certificate_row(record), "to_do": None}]
    rows += [{**certificate_row(other), "to_do": _to_do(record, other)} for other in others]
    return rows


def _to_do(record: CertificateRecord, other: CertificateRecord) -> str | None:
    valid = CertificateStatus.VALID
    if record.status is valid and other.status is valid:
        return None
    if other.status is valid:
        return f"bound to one that is {record.status}: renew it, or revoke it"
    if record.status is valid:
        return f"{write_serial(record.serial)} is bound to it: renew that one"
    return None


def valid_pairs(server: PkiServer, record: CertificateRecord) -> list[CertificateRecord]:
    """Return the valid certificates that are bound to this one."""
    found = server.pairs.of(record)
    return [other for other in found if other.status is CertificateStatus.VALID]
