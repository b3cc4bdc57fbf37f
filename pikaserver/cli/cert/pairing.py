"""Pairs of certificates: the second is issued, bound to the first; pairs are shown."""

from cryptography import x509

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.errors import Conflict
from pikaserver.api.issuance import EnrollmentRequest, Issued, Pending, Requester
from pikaserver.asn1.algorithms import default_algorithm, key_type
from pikaserver.asn1.certificate import read_certificate
from pikaserver.asn1.csr import assemble_csr, read_csr, request_info
from pikaserver.asn1.related_certificates import related_attribute
from pikaserver.asn1.serials import write_serial
from pikaserver.cli.cert.pair_options import PairOptions
from pikaserver.cli.files import write_secret
from pikaserver.cli.local_keys import LocalKey, load_local_key, make_local_key
from pikaserver.cli.output import Record
from pikaserver.cli.records import certificate_row
from pikaserver.clock import system_entropy
from pikaserver.server import PkiServer
from pikaserver.signing.private_keys import write_private_key


def check_files(pairing: PairOptions) -> None:
    """Find out before anything is signed what could not be written afterwards.

    Raises:
        Conflict: the file for the key exists.
    """
    if pairing.pair_key_out is not None and pairing.pair_key_out.exists():
        raise Conflict(f"{pairing.pair_key_out} exists already; it is not overwritten")


def issue_second(
    server: PkiServer, pairing: PairOptions, first: Issued, pkcs8: bytes, actor: str
) -> Issued | Pending:
    """Walk the one road again; the first certificate stays valid if it ends half way.

    Raises:
        PikaserverError: as `enroll` does.
    """
    key = make_local_key(pairing.pair_key_type)
    if pairing.pair_key_out is not None:
        write_secret(pairing.pair_key_out, write_private_key(key.pkcs8, None, system_entropy))
    request = EnrollmentRequest(
        csr=read_csr(_request(server, key, load_local_key(pkcs8), first.certificate)),
        requester=Requester(actor, "operator"),
        template=str(pairing.pair),
        door="cli",
    )
    return server.enroll(request)


def _request(server: PkiServer, key: LocalKey, old: LocalKey, certificate: bytes) -> bytes:
    holder = read_certificate(certificate)
    names = [one for one in holder.extensions if isinstance(one.value, x509.SubjectAlternativeName)]
    usual = default_algorithm(key_type(old.public_key))
    bound = related_attribute(certificate, server.clock(), lambda octets: old.sign(usual, octets))
    info = request_info(holder.subject, key.public_key, names, bound)
    algorithm = default_algorithm(key_type(key.public_key))
    return assemble_csr(info, algorithm, key.sign(algorithm, info))


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
