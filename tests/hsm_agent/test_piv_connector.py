"""What pcscd answers, in sentences."""

import pytest
from smartcard.Exceptions import CardConnectionException, NoCardException
from smartcard.pcsc.PCSCExceptions import EstablishContextException

from hsm_agent.stores.piv import connector
from hsm_agent.stores.piv.connector import PcscConnector
from hsm_agent.stores.store import TokenAbsent

READER = "Yubico YubiKey OTP+FIDO+CCID 00 00"


class Reader:
    """A reader of pyscard whose card cannot be connected to."""

    def __init__(self, name, error=None):
        self._name = name
        self._error = error
        self.modes = []
        self.released = 0

    def __str__(self):
        return self._name

    def createConnection(self):  # noqa: N802  # pyscard's name
        return self

    def connect(self, mode):
        self.modes.append(mode)
        if self._error is not None:
            raise self._error

    def getATR(self):  # noqa: N802  # pyscard's name
        return [0x3B, 0xFD]

    def release(self):
        self.released += 1


@pytest.fixture
def readers(monkeypatch):
    """Give the list of readers that pyscard shows, or an error to raise."""
    shown = []

    def show():
        for one in shown:
            if isinstance(one, Exception):
                raise one
        return shown

    monkeypatch.setattr(connector, "pcsc_readers", show)
    return shown


def test_only_readers_of_that_name_are_looked_at(readers):
    """Other cards are none of our business; powering them up may disturb others."""
    readers += [Reader("Alcor Micro 00"), Reader(READER), Reader("YUBICO YUBIKEY CCID 01 00")]

    assert [READER, "YUBICO YUBIKEY CCID 01 00"] == PcscConnector(
        "YubiKey", exclusive=True
    ).readers()


@pytest.mark.parametrize(("exclusive", "mode"), [(True, 1), (False, 2)])
def test_a_card_is_taken_alone_unless_the_settings_say_otherwise(readers, exclusive, mode):
    """SCARD_SHARE_EXCLUSIVE in one step: no moment in which another program comes between."""
    readers.append(Reader(READER))

    PcscConnector("yubikey", exclusive=exclusive).connect(READER)

    assert [mode] == readers[0].modes


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoCardException("x", hresult=0x8010000C), f"no card in reader {READER}"),
        (CardConnectionException("x", hresult=0x8010000B - (1 << 32)), "another program holds"),
        (CardConnectionException("x", hresult=0x8010006A), "refuses this user: see docs"),
        (CardConnectionException("x", hresult=0x80100066), f"reader {READER}: x"),
    ],
)
def test_a_connection_that_fails_says_why_and_leaves_nothing_open(readers, error, words):
    """A context that is left open counts against pcscd's limit."""
    readers.append(Reader(READER, error))

    with pytest.raises(TokenAbsent, match=words.replace("+", r"\+")):
        PcscConnector("yubikey", exclusive=True).connect(READER)

    assert 1 == readers[0].released


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0x8010001D, "pcscd does not run"),
        (0x8010001E, "pcscd does not run"),
        (0x8010006A, "pcscd refuses this user"),
        (0x8010002E, "no reader: no YubiKey is plugged in"),
        (0x80100004, "pcscd: "),
    ],
)
def test_readers_that_cannot_be_listed_say_why(readers, status, words):
    """The way out is in the sentence."""
    readers.append(EstablishContextException(status))

    with pytest.raises(TokenAbsent, match=words):
        PcscConnector("yubikey", exclusive=True).readers()


def test_a_reader_that_is_unplugged_meanwhile_is_gone(readers):
    """Between listing and connecting."""
    readers.append(Reader("Yubico YubiKey CCID 07 00"))

    with pytest.raises(TokenAbsent, match="is gone"):
        PcscConnector("yubikey", exclusive=True).connect(READER)


def test_programs_that_are_known_to_hold_cards_are_named(readers, tmp_path, monkeypatch):
    """Most often it is scdaemon of GnuPG."""
    for number, name in ((12, "scdaemon"), (13, "bash"), (14, "yubikey-agent")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "comm").write_text(f"{name}\n", encoding="ascii")
    monkeypatch.setattr(connector, "PROCESSES", tmp_path)
    readers.append(Reader(READER, CardConnectionException("x", hresult=0x8010000B)))

    with pytest.raises(
        TokenAbsent, match=r"may be scdaemon \(pid 12\) or yubikey-agent \(pid 14\)"
    ):
        PcscConnector("yubikey", exclusive=True).connect(READER)
