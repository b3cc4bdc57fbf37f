"""The job that fetches Intune's orders to revoke, carries them out and reports."""

import logging
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta

from pikaserver.api.certificates import (
    CertificateQuery,
    CertificateRecord,
    CertificateStatus,
    Revocation,
    RevocationReason,
)
from pikaserver.api.errors import Conflict, Unavailable
from pikaserver.api.server import Server
from pikaserver_scep.challenges.intune.service import IntuneService

SERVICE = "PkiConnectorFEService"
VERSION = "5019-05-05"
MOST_AT_ONCE = 500
EVERY = timedelta(minutes=5)

NONE, NOT_FOUND, UNREADABLE, LATER = 0, 4004, 4002, 4101
"""What became of an order, in Microsoft's numbers."""

_SERIAL = re.compile(r"(0x)?[0-9A-Fa-f]{1,40}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """One certificate to be revoked; ``context`` is Intune's name of the order."""

    context: str
    serial: str


class Revocations:
    """One connector's orders; they reach certificates of its own templates only."""

    def __init__(
        self, connector: str, server: Server, service: IntuneService, templates: Collection[str]
    ) -> None:
        self._connector = connector
        self._server = server
        self._service = service
        self._templates = templates

    def run(self) -> None:
        """Fetch orders and carry them out until there are no more.

        Raises:
            Unavailable: Intune cannot be asked; what was revoked stays so, and its order,
                which comes again, is reported then.
        """
        while True:
            orders = list(self._orders())
            if orders:
                self._report([self._carried_out(order) for order in orders])
            if len(orders) < MOST_AT_ONCE:
                return

    def _orders(self) -> Iterator[Order]:
        wish = {"maxRequests": MOST_AT_ONCE, "certificateProviderName": None, "issuerName": None}
        answer = self._service.post(
            SERVICE,
            "CertificateAuthorityRequests/downloadRevocationRequests",
            VERSION,
            {"downloadParameters": wish},
        )
        value = answer.get("value")
        if not isinstance(value, list):
            raise Unavailable("Intune's answer holds no list of orders")
        for entry in value:
            context = entry.get("requestContext") if isinstance(entry, dict) else None
            if isinstance(context, str) and context:
                yield Order(context, str(entry.get("serialNumber")))

    def _carried_out(self, order: Order) -> dict[str, object]:
        if not _SERIAL.fullmatch(order.serial):
            return _result(order, UNREADABLE, "the serial number is not hexadecimal")
        found = self._server.certificates.find(CertificateQuery(serial=int(order.serial, 16)))
        records = [one for one in found if one.template in self._templates]
        if not records:
            return _result(order, NOT_FOUND, "no such certificate of this connector")
        try:
            for record in records:
                self._revoke(record)
        except Unavailable as error:
            return _result(order, LATER, str(error))
        return _result(order, NONE, None)

    def _revoke(self, record: CertificateRecord) -> None:
        if record.status in (CertificateStatus.REVOKED, CertificateStatus.EXPIRED):
            return
        revocation = Revocation(self._server.clock(), RevocationReason.CESSATION_OF_OPERATION)
        try:
            self._server.revoke(record, revocation, f"intune:{self._connector}")
        except Conflict:
            _log.info("revoked already", extra={"serial": f"{record.serial:x}"})

    def _report(self, results: list[dict[str, object]]) -> None:
        answer = self._service.post(
            SERVICE,
            "CertificateAuthorityRequests/uploadRevocationResults",
            VERSION,
            {"results": results},
        )
        if answer.get("value") is not True:
            raise Unavailable("Intune did not record what was revoked")


def _result(order: Order, code: int, why: str | None) -> dict[str, object]:
    return {
        "requestContext": order.context,
        "succeeded": code == NONE,
        "errorCode": code,
        "errorMessage": why,
    }
