"""What scripts of operators ask: the status of a serial, what expires, a request's certificate."""

from dataclasses import replace
from datetime import timedelta

import falcon

from pikaserver.api.certificates import CertificateQuery, CertificateRecord, CertificateStatus
from pikaserver.api.errors import NotFound
from pikaserver.api.issuance import RequestState
from pikaserver.api.server import Server
from pikaserver.asn1.der import write_pem
from pikaserver.asn1.serials import read_serial
from pikaserver_crl import messages

LINES_LIMIT = 1000
"""Certificates that ``/expired`` lists at most."""

_PAGE = 100
_LISTED = (CertificateStatus.VALID, CertificateStatus.EXPIRED)
_RETRY_AFTER = "60"


class Status:
    """``/status/<serial>``: JSON whose ``status`` is valid, revoked, expired or not found.

    What is on hold counts as revoked, with the reason certificateHold.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_get(self, request: falcon.Request, response: falcon.Response, serial: str) -> None:
        """Answer what we know of a serial number; an unknown one is a 404, in JSON too."""
        number = read_serial(serial)
        found = self._server.certificates.find(CertificateQuery(serial=number, limit=1))
        status = messages.status_of(found[0]) if found else messages.unknown_status(number)
        if status["status"] == messages.NOT_FOUND:
            response.status = falcon.HTTP_NOT_FOUND
        _answer_json(response, status)


class Expired:
    """``/expired[?days=N]``: a JSON list of what is expired, or will be within so many days.

    Revoked certificates are not listed: nobody has to renew them.
    """

    def __init__(self, server: Server, days: int) -> None:
        self._server = server
        self._days = days

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer the list, the one that is expired for longest first."""
        ahead = request.get_param_as_int("days", min_value=0, max_value=366, default=self._days)
        now = self._server.clock()
        query = CertificateQuery(
            expires_after=now - timedelta(days=self._days),
            expires_before=now + timedelta(days=ahead),
            limit=_PAGE,
        )
        found = [
            record for status in _LISTED for record in self._find(replace(query, status=status))
        ]
        found.sort(key=lambda record: record.not_after)
        _answer_json(response, [messages.expiry_of(record) for record in found[:LINES_LIMIT]])

    def _find(self, query: CertificateQuery) -> list[CertificateRecord]:
        """Read so many pages at most, whatever else the database holds."""
        found: list[CertificateRecord] = []
        while len(found) < LINES_LIMIT:
            page = self._server.certificates.find(query)
            found += page
            if len(page) < _PAGE:
                break
            query = replace(query, after=page[-1].id)
        return found


class RequestDownload:
    """``/requests/<id>/download``: the certificate of a request that is issued, in PEM.

    Certificates are public; of a request itself nothing is told but that it waits.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_get(self, request: falcon.Request, response: falcon.Response, request_id: int) -> None:
        """Answer the certificate, or 202 while somebody has to approve the request."""
        record = self._server.requests.get(request_id)
        if record.state is RequestState.DECLINED:
            raise NotFound(f"request {request_id} was declined")
        certificate = None
        if record.certificate_id is not None:
            certificate = self._server.certificates.get(record.certificate_id).certificate
        if certificate is None:
            response.status = falcon.HTTP_ACCEPTED
            response.set_header("Retry-After", _RETRY_AFTER)
            _answer_json(response, {"status": "pending", "request": request_id})
            return
        response.content_type = "application/x-pem-file"
        response.data = write_pem("CERTIFICATE", certificate)


def _answer_json(response: falcon.Response, value: object) -> None:
    response.cache_control = ["no-store"]
    response.media = value
