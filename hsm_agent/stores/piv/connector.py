"""The way to a card: a reader's name in, a connection out; with pcscd, or with a card for tests."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from smartcard.Exceptions import NoCardException, SmartcardException
from smartcard.pcsc.PCSCExceptions import BaseSCardException
from smartcard.scard import SCARD_SHARE_EXCLUSIVE, SCARD_SHARE_SHARED
from smartcard.System import readers as pcsc_readers
from yubikit.core import TRANSPORT
from yubikit.core.smartcard import SmartCardConnection

from hsm_agent.stores.store import TokenAbsent

_SHARING_VIOLATION = 0x8010000B
_NO_SERVICE = {0x8010001D, 0x8010001E}
_NOT_ALLOWED = 0x8010006A
_NO_READERS = 0x8010002E
_HIGH_HALF = 0xF0
PROCESSES = Path("/proc")
_USUAL_HOLDERS = ("scdaemon", "yubikey-agent", "ykman", "hsm-agent", "p11-kit-remote", "pcsc_scan")


class CardGone(TokenAbsent):
    """The line to the card broke: it was pulled, or reset by another program."""


class Connector(Protocol):
    """Knows readers and connects to the cards in them."""

    def readers(self) -> Sequence[str]:
        """Name the readers.

        Raises:
            TokenAbsent: they cannot be listed.
        """
        ...

    def connect(self, reader: str) -> SmartCardConnection:
        """Connect to the card in a reader.

        Raises:
            TokenAbsent: there is none, or another program has it.
        """
        ...


class PcscConnection(SmartCardConnection):
    """A connection through pcscd; ``exclusive`` keeps every other program away meanwhile."""

    def __init__(self, reader: Any, *, exclusive: bool) -> None:  # noqa: ANN401  # pyscard has no types
        mode = SCARD_SHARE_EXCLUSIVE if exclusive else SCARD_SHARE_SHARED
        self._connection = reader.createConnection()
        try:
            self._connection.connect(mode=mode)
            # A card in an NFC reader shows another second octet of its ATR: short APDUs only.
            over_usb = self._connection.getATR()[1] & _HIGH_HALF == _HIGH_HALF
        except SmartcardException:
            self._connection.release()
            raise
        self._transport = TRANSPORT.USB if over_usb else TRANSPORT.NFC

    @property
    def transport(self) -> TRANSPORT:
        """See ``SmartCardConnection``."""
        return self._transport

    def close(self) -> None:
        """Let the card go; it loses power, and with it every proven PIN."""
        try:
            self._connection.disconnect()
        finally:
            self._connection.release()

    def send_and_receive(self, apdu: bytes) -> tuple[bytes, int]:
        """See ``SmartCardConnection``."""
        data, high, low = self._connection.transmit(list(apdu))
        return bytes(data), high << 8 | low


class PcscConnector:
    """Readers of pcscd whose name contains a text, in whatever case."""

    def __init__(self, reader: str, *, exclusive: bool) -> None:
        self._reader = reader.casefold()
        self._exclusive = exclusive

    def readers(self) -> Sequence[str]:
        """See `Connector`."""
        with _pcscd(""):
            names = [str(reader) for reader in pcsc_readers()]
        return [name for name in names if self._reader in name.casefold()]

    def connect(self, reader: str) -> SmartCardConnection:
        """See `Connector`."""
        with _pcscd(reader):
            for found in pcsc_readers():
                if str(found) == reader:
                    return PcscConnection(found, exclusive=self._exclusive)
        raise TokenAbsent(f"reader {reader} is gone")


@contextmanager
def _pcscd(reader: str) -> Iterator[None]:
    """Turn what pyscard raises into sentences."""
    try:
        yield
    except NoCardException as error:
        raise TokenAbsent(f"no card in reader {reader}") from error
    except (SmartcardException, BaseSCardException) as error:
        raise TokenAbsent(_sentence(error.hresult & 0xFFFFFFFF, reader, error)) from error


def _sentence(status: int, reader: str, error: Exception) -> str:
    if status == _SHARING_VIOLATION:
        return f"another program holds the card in reader {reader}{_who()}"
    if status in _NO_SERVICE:
        return "pcscd does not run: systemctl start pcscd.socket"
    if status == _NOT_ALLOWED:
        return "pcscd refuses this user: see docs/how-to/use-a-yubikey.md on polkit"
    if status == _NO_READERS:
        return "no reader: no YubiKey is plugged in"
    return f"pcscd: {error}" if not reader else f"reader {reader}: {error}"


def _who() -> str:
    """Name running programs that are known to hold cards, as far as this user may see them."""
    found = []
    for entry in PROCESSES.glob("[0-9]*/comm"):
        try:
            name = entry.read_text().strip()
        except OSError:
            continue
        if name in _USUAL_HOLDERS and entry.parent.name != str(os.getpid()):
            found.append(f"{name} (pid {entry.parent.name})")
    return f"; it may be {' or '.join(sorted(found))}" if found else ""
