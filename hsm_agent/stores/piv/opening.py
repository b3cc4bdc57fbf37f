"""From the settings of ``[stores.NAME]`` with ``kind = "piv"`` to a store."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from hsm_agent import clock
from hsm_agent.stores.piv.attestation import (
    Authorities,
    Unverified,
    load_authorities,
    yubico_authorities,
)
from hsm_agent.stores.piv.attestations import Attestations
from hsm_agent.stores.piv.connector import Connector, PcscConnector
from hsm_agent.stores.piv.finding import Finder
from hsm_agent.stores.piv.making import ManagementKeys
from hsm_agent.stores.piv.pin_memory import PinMemory
from hsm_agent.stores.piv.pins import AskedPin, PinFile, PinGuard, PinSource
from hsm_agent.stores.piv.store import Parts, PivStore

SETTINGS: Mapping[str, type | tuple[type, ...]] = {
    "serial": (int, str),
    "reader": str,
    "pin-file": str,
    "pin-credential": str,
    "management-key-file": str,
    "attestation-roots": list,
    "exclusive": bool,
    "accept-firmware": str,
    "wait": (int, float),
}
"""What may be said about a YubiKey."""
USUAL_READER = "yubikey"
_USUAL_WAIT = 20.0
_LONGEST_WAIT = 600


def open_store(
    settings: Mapping[str, object],
    folder: Path,
    ask: Callable[[], str] | None = None,
    connector: Connector | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> PivStore:
    """Return the store that the settings describe; the card need not be there yet.

    ``folder`` is the agent's data folder: relative paths start there, and what the store keeps
    lies in ``state/piv``.  ``ask`` gets the PIN from a person where no file is set, when it is
    needed first.  ``connector`` is another way to cards than pcscd, ``monotonic`` another clock.

    Raises:
        ValueError: a setting is wrong.
    """
    told = _Settings(settings, folder)
    exclusive = told.switch("exclusive", default=True)
    serial = told.serial()
    reader = told.text("reader") or USUAL_READER
    way = connector or PcscConnector(reader, exclusive=exclusive)
    kept = folder / "state" / "piv"
    pins = PinGuard(_pin_source(told, ask), PinMemory(kept / "wrong-pins.json", clock.entropy))
    return PivStore(
        Parts(
            finder=Finder(way, serial, monotonic),
            pins=pins,
            management=ManagementKeys(told.path("management-key-file"), pins),
            attestations=Attestations(kept, _authorities(told)),
            entropy=clock.entropy,
            accepted=told.text("accept-firmware"),
            exclusive=exclusive,
            monotonic=monotonic,
            wait=told.seconds("wait", _USUAL_WAIT),
        )
    )


class _Settings:
    """The settings, each asked for as what it has to be."""

    def __init__(self, values: Mapping[str, object], folder: Path) -> None:
        self._values = values
        self._folder = folder
        for name, value in values.items():
            kind = SETTINGS.get(name)
            if kind is None:
                raise ValueError(f"{name} is no setting of a YubiKey: {', '.join(SETTINGS)}")
            if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
                raise ValueError(f"{name} = {value!r} is not what this setting takes")

    def text(self, name: str) -> str:
        """Return a text, empty where nothing is set."""
        return str(self._values.get(name, ""))

    def path(self, name: str) -> Path | None:
        """Return a path; a relative one starts in the agent's folder."""
        return self._folder / self.text(name) if name in self._values else None

    def switch(self, name: str, *, default: bool) -> bool:
        """Return yes or no."""
        return bool(self._values.get(name, default))

    def seconds(self, name: str, default: float) -> float:
        """Return a number of seconds."""
        value = float(self.text(name) or default)
        if not 0 < value <= _LONGEST_WAIT:
            raise ValueError(f"{name} should be more than 0 and at most {_LONGEST_WAIT} seconds")
        return value

    def serial(self) -> int | None:
        """Return the serial number that is printed on the card, if one is set."""
        text = self.text("serial")
        if not text:
            return None
        if not text.isdecimal():
            raise ValueError(f"serial = {text!r} is no serial number of a YubiKey")
        return int(text)

    def paths(self, name: str) -> list[Path] | None:
        """Return several paths, or nothing where nothing is set."""
        value = self._values.get(name)
        if not isinstance(value, list):
            return None
        if not all(isinstance(one, str) for one in value):
            raise ValueError(f"{name} should be a list of files")
        return [self._folder / str(one) for one in value]


def _pin_source(told: _Settings, ask: Callable[[], str] | None) -> PinSource:
    file, credential = told.path("pin-file"), told.text("pin-credential")
    if file is not None and credential:
        raise ValueError("pin-file and pin-credential are both set: one of them is enough")
    if file is not None:
        return PinFile(file)
    if credential:
        # systemd.exec(5): LoadCredential= and its kin.
        return PinFile(
            Path(os.environ.get("CREDENTIALS_DIRECTORY", "/run/credentials")) / credential
        )
    return AskedPin(ask)


def _authorities(told: _Settings) -> Authorities:
    paths = told.paths("attestation-roots")
    if paths is None:
        return yubico_authorities()
    try:
        return load_authorities(paths)
    except Unverified as error:
        raise ValueError(f"attestation-roots: {error}") from error
