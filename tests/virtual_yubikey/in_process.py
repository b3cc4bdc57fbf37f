"""The card as a connection of yubikit, without reader, daemon or process."""

from smartcard.Exceptions import CardConnectionException, NoCardException
from yubikit.core import TRANSPORT
from yubikit.core.smartcard import SmartCardConnection

from tests.virtual_yubikey.card import VirtualYubiKey

CARD_REMOVED = 0x80100069
NO_CARD = 0x8010000C


class InProcessConnection(SmartCardConnection):
    """A connection that lives until the card is pulled; the errors are pyscard's.

    Over USB yubikit sends extended APDUs, over NFC short ones in a chain.
    """

    def __init__(self, card: VirtualYubiKey, transport: TRANSPORT = TRANSPORT.USB) -> None:
        if not card.plugged:
            raise NoCardException("Unable to connect: no card in the reader", hresult=NO_CARD)
        self._card = card
        self._transport = transport
        self._insertion = card.insertions

    @property
    def transport(self) -> TRANSPORT:
        """See ``SmartCardConnection``."""
        return self._transport

    def close(self) -> None:
        """See ``Connection``: the card loses what was proven to it."""
        if self._is_there():
            self._card.reset()

    def send_and_receive(self, apdu: bytes) -> tuple[bytes, int]:
        """Send one APDU and return data and status.

        Raises:
            CardConnectionException: the card was pulled, now or since the connection was made.
        """
        if self._is_there():
            response = self._card.process(bytes(apdu))
            if self._is_there():
                return response[:-2], int.from_bytes(response[-2:], "big")
        raise CardConnectionException("Failed to transmit: card removed", hresult=CARD_REMOVED)

    def _is_there(self) -> bool:
        return self._card.plugged and self._card.insertions == self._insertion
