"""Finding one YubiKey among the readers, by its serial number, again and again."""

import time
from collections.abc import Callable, Sequence

from hsm_agent.stores.piv.card import Card
from hsm_agent.stores.piv.connector import Connector
from hsm_agent.stores.store import StoreError, TokenAbsent, TokenFault

PAUSE_SECONDS = 0.5
"""Readers that did not change are not asked again before; each question powers cards up."""


class Finder:
    """Looks for the card of one store."""

    def __init__(
        self,
        connector: Connector,
        serial: int | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connector = connector
        self._serial = serial
        self._monotonic = monotonic
        self._last_reader = ""
        self._failure: tuple[Sequence[str], float, str] | None = None

    @property
    def serial(self) -> int | None:
        """The card that is looked for; without a setting, the first one that was found."""
        return self._serial

    def find(self) -> Card:
        """Connect to the card.

        Raises:
            TokenAbsent: it is in no reader, or another program has it.
            TokenFault: there are several, and no setting says which.
        """
        readers = sorted(self._connector.readers(), key=lambda name: name != self._last_reader)
        self._fail_fast(readers)
        try:
            card = self._search(readers)
        except TokenAbsent as error:
            self._failure = readers, self._monotonic(), str(error)
            raise
        self._failure = None
        self._last_reader = card.reader
        self._serial = card.serial
        return card

    def _fail_fast(self, readers: Sequence[str]) -> None:
        if self._failure is None:
            return
        before, when, why = self._failure
        if before == readers and self._monotonic() - when < PAUSE_SECONDS:
            raise TokenAbsent(why)

    def _search(self, readers: Sequence[str]) -> Card:
        found: list[Card] = []
        notes: list[str] = []
        for reader in readers:
            try:
                card = self.open(reader)
            except StoreError as error:
                notes.append(str(error))
                continue
            if card.serial == self._serial:
                return card
            if self._serial is not None:
                card.close()
                notes.append(f"{reader} holds YubiKey {card.serial}")
            else:
                found.append(card)
        return self._only(found, notes)

    def open(self, reader: str) -> Card:
        """Connect to whatever card is in a reader.

        Raises:
            StoreError: there is none, or it is no YubiKey with PIV.
        """
        connection = self._connector.connect(reader)
        try:
            return Card(connection, reader)
        except StoreError:
            connection.close()
            raise

    def _only(self, found: list[Card], notes: list[str]) -> Card:
        if len(found) == 1:
            return found[0]
        for card in found:
            card.close()
        if found:
            serials = ", ".join(str(card.serial) for card in found)
            raise TokenFault(f"there are several YubiKeys, say which: serial = one of {serials}")
        wanted = "no YubiKey" if self._serial is None else f"YubiKey {self._serial} is not"
        raise TokenAbsent(f"{wanted} plugged in{'' if not notes else ': ' + '; '.join(notes)}")
