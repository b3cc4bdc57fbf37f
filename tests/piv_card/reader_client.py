"""Signs with the card in the first reader: ``python -m tests.piv_card.reader_client``.

Each line on standard input is a deed, each line of the answer its outcome: ``connect``, ``sign``,
``rate`` (commands a second).
"""

import sys
import time

from cryptography.hazmat.primitives import hashes
from smartcard.Exceptions import CardConnectionException, NoCardException
from smartcard.System import readers
from yubikit.core import TRANSPORT
from yubikit.core.smartcard import SmartCardConnection
from yubikit.piv import KEY_TYPE, SLOT, PivSession

COMMANDS = 100


class ReaderConnection(SmartCardConnection):
    """The smallest connection that yubikit takes."""

    transport = TRANSPORT.USB

    def __init__(self):
        self._connection = readers()[0].createConnection()
        self._connection.connect()

    def close(self):
        self._connection.disconnect()
        self._connection.release()

    def send_and_receive(self, apdu):
        data, high, low = self._connection.transmit(list(apdu))
        return bytes(data), high << 8 | low


class Client:
    """One session after the other."""

    _connection = None

    def connect(self):
        if self._connection is not None:
            # Before the next one: what ends the old one takes the power off under the new one.
            self._connection.close()
        self._connection = ReaderConnection()
        self._session = PivSession(self._connection)
        return "connected"

    def sign(self):
        self._session.verify_pin("123456")
        self._session.sign(SLOT.SIGNATURE, KEY_TYPE.ECCP256, b"m", hashes.SHA256())
        return "signed"

    def rate(self):
        begun = time.monotonic()
        for _ in range(COMMANDS):
            self._session.get_pin_attempts()
        return str(COMMANDS / (time.monotonic() - begun))


def main():
    """Do what each line says."""
    client = Client()
    for line in sys.stdin:
        try:
            told = getattr(client, line.strip())()
        except (CardConnectionException, NoCardException) as failed:
            told = f"{type(failed).__name__} {failed.hresult & 0xFFFFFFFF:08x}"
        sys.stdout.write(f"{told}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
