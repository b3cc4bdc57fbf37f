"""Opens stores by their settings; what a kind of store needs is imported only where it is used."""

import getpass
import sys
from collections.abc import Mapping

from hsm_agent.faults import SettingsFault
from hsm_agent.places import Place
from hsm_agent.settings.settings import StoreSettings
from hsm_agent.stores.store import Store, StoreError


def open_stores(settings: Mapping[str, StoreSettings], place: Place) -> dict[str, Store]:
    """Return all stores by name; a token that is absent now does not stop anything.

    Raises:
        SettingsFault: a store is described wrongly, or its library is not installed.
    """
    opened: dict[str, Store] = {}
    try:
        for name, described in settings.items():
            opened[name] = open_store(name, described, place)
    except SettingsFault:
        for store in opened.values():
            store.close()
        raise
    return opened


def open_store(name: str, settings: StoreSettings, place: Place) -> Store:
    """Return one store.

    Raises:
        SettingsFault: it is described wrongly, or its library is not installed.
    """
    try:
        match settings.kind:
            case "software":
                return _software(settings, place)
            case "pkcs11":
                return _pkcs11(settings, place)
            case _:
                return _piv(settings, place)
    except (StoreError, ValueError) as error:
        raise SettingsFault(f"{place.settings}: stores.{name}: {error}") from error


def _software(settings: StoreSettings, place: Place) -> Store:
    from hsm_agent.stores.software import SoftwareStore

    folder = settings.options.get("folder", "software-keys")
    if not isinstance(folder, str):
        raise ValueError("folder should be a text in quotation marks")  # noqa: TRY004 - a setting
    return SoftwareStore(place.within(folder))


def _pkcs11(settings: StoreSettings, place: Place) -> Store:
    try:
        from hsm_agent.stores.pkcs11.opening import open_store as open_token
    except ImportError as error:
        raise _not_installed(error, "pkcs11") from error
    return open_token(settings.options, place.folder)


def _piv(settings: StoreSettings, place: Place) -> Store:
    try:
        from hsm_agent.stores.piv.opening import open_store as open_card
    except ImportError as error:
        raise _not_installed(error, "yubikey") from error
    return open_card(settings.options, place.folder, _ask_pin if sys.stdin.isatty() else None)


def _ask_pin() -> str:
    """Ask the person at the terminal where no file holds the PIN."""
    return getpass.getpass("PIN of the YubiKey: ")


def _not_installed(error: ImportError, extra: str) -> SettingsFault:
    return SettingsFault(
        f"{error.name or extra} is not installed, which this store needs:"
        f" pip install 'pikaserver[{extra}]'"
    )
