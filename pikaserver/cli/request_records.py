"""How certificate requests look as records, those in files and those that wait."""

import hashlib

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.issuance import CertificationRequest, RequestRecord
from pikaserver.asn1.algorithms import algorithm_of, key_type
from pikaserver.asn1.crmf import read_any_request
from pikaserver.asn1.csr import verify_possession
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES
from pikaserver.asn1.names import general_name_text
from pikaserver.asn1.possession_statements import read_statement
from pikaserver.asn1.serials import write_serial
from pikaserver.authority.naming.subject_text import write_subject
from pikaserver.authority.templates.durations import write_duration
from pikaserver.cli.cert.extension_text import extension_texts
from pikaserver.cli.output import Record
from pikaserver.cli.records import trace_rows
from pikaserver.server import PkiServer
from pikaserver.storage import requests as storage


def csr_content(request: CertificationRequest) -> Record:
    """Return what a CSR asks for, and whether its signature proves the key."""
    return {
        "subject": write_subject(request.subject),
        "names": [general_name_text(name) for name in request.names],
        "key_type": key_type(request.public_key),
        "signature": _signature(request),
        "challenge_password": "there, not shown" if request.challenge_password else None,
        "fingerprint": hashlib.sha256(request.der).hexdigest(),
        **extension_texts(request.extensions),
    }


def request_row(record: RequestRecord) -> Record:
    """Return the columns of a list."""
    return {
        "id": record.id,
        "state": record.state,
        "template": record.template,
        "subject": record.subject,
        "names": record.names,
        "requester": record.requester,
        "created_at": record.created_at,
    }


def request_details(record: RequestRecord) -> Record:
    """Return all about a request but its trace."""
    return {
        **request_row(record),
        "template_version": record.template_version,
        "door": record.door,
        "decided_by": record.decided_by,
        "comment": record.comment,
    }


def request_and_trace(server: PkiServer, number: int) -> tuple[Record, list[Record]]:
    """Return a stored request with what it asked, and what the rules said to it.

    Raises:
        NotFound: no such request.
    """
    record = server.requests.get(number)
    with server.database.reading() as connection:
        details = storage.details(connection, number)
    asked = {**request_details(record), **csr_content(read_any_request(record.csr))}
    asked["validity"] = write_duration(details.validity) if details.validity else None
    asked["certificate"] = _serial(server, record.certificate_id)
    if record.second_csr is not None:
        asked["second_key_type"] = key_type(read_any_request(record.second_csr).public_key)
        asked["second_template"] = details.second_template
    return asked, trace_rows(details.trace)


def _serial(server: PkiServer, certificate_id: int | None) -> str | None:
    if certificate_id is None:
        return None
    return write_serial(server.certificates.get(certificate_id).serial)


def _signature(request: CertificationRequest) -> str:
    if key_type(request.public_key) in KEM_KEY_TYPES:
        stated = read_statement(request) is not None
        return "by another key of the holder (RFC 9883)" if stated else "none: the key cannot sign"
    try:
        verify_possession(request)
        return f"{algorithm_of(request.signature_algorithm)}, made with the key in it"
    except MalformedRequest as problem:
        return f"not valid: {problem}"
