"""Devices and renewal windows in memory, as doors see them."""

from collections.abc import Sequence
from datetime import timedelta

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.devices import DeviceQuery, DeviceRecord
from pikaserver.api.errors import NotFound
from pikaserver.api.operations import Clock
from pikaserver.api.renewal import RenewalWindow
from pikaserver.testing.fake_records import FakeCertificates


class FakeDevices:
    """See ``pikaserver.api.devices.Devices``; ``visits`` are (certificate's id, door)."""

    def __init__(self) -> None:
        self.records: dict[int, DeviceRecord] = {}
        self.visits: list[tuple[int, str]] = []

    def get(self, device_id: int) -> DeviceRecord:
        """See the protocol."""
        if device_id not in self.records:
            raise NotFound(f"no device {device_id}")
        return self.records[device_id]

    def find(self, query: DeviceQuery) -> Sequence[DeviceRecord]:
        """See the protocol; the restrictions are the real server's business."""
        return list(self.records.values())

    def met(self, record: CertificateRecord, door: str) -> None:
        """See the protocol."""
        self.visits.append((record.id, door))


class FakeRenewals:
    """See ``pikaserver.api.renewal.Renewals``; ``windows`` holds those that were pulled forward.

    All others are the last third of a certificate's life.  Certificates are found by their
    fingerprint only.
    """

    def __init__(self, certificates: FakeCertificates, clock: Clock) -> None:
        self._certificates = certificates
        self._clock = clock
        self.windows: dict[int, RenewalWindow] = {}

    def window(self, record: CertificateRecord) -> RenewalWindow:
        """See the protocol."""
        if record.id in self.windows:
            return self.windows[record.id]
        if record.status is CertificateStatus.REVOKED:
            past = self._clock() - timedelta(seconds=1)
            return RenewalWindow(past, self._clock(), 3600, "the certificate is revoked")
        start = record.not_after - (record.not_after - record.not_before) / 3
        return RenewalWindow(start, record.not_after, 3600)

    def find(self, identifier: str) -> CertificateRecord:
        """See the protocol."""
        for record in self._certificates.records.values():
            if record.fingerprint == identifier:
                return self._certificates.get(record.id)
        raise NotFound("no such certificate")
