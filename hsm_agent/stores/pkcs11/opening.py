"""Opens a PKCS#11 store by its settings."""

import hashlib
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

from hsm_agent.clock import entropy
from hsm_agent.stores.pkcs11.pins import (
    NoPin,
    PinCredential,
    PinFile,
    PinSource,
    PromptedPin,
    RefusedPins,
)
from hsm_agent.stores.pkcs11.pipeline import Pipeline
from hsm_agent.stores.pkcs11.settings import TokenSettings, read_settings
from hsm_agent.stores.pkcs11.token_store import TokenStore
from hsm_agent.stores.pkcs11.unlocking import Unlocking
from hsm_agent.stores.pkcs11.worker_process import WorkerProcess
from hsm_agent.stores.store import Store

_SESSIONS_OF_ONE_WORKER = 1 << 20


def open_store(settings: Mapping[str, object], folder: Path) -> Store:
    """Return the store that ``[stores.NAME]`` describes; an absent token stops nothing.

    ``folder`` is the agent's: relative paths start there, and ``state`` in it remembers PINs
    that were refused.

    Raises:
        ValueError: a setting is wrong, or python-pkcs11 is not installed.
        PinNeeded: the PIN's file cannot be used.
    """
    if importlib.util.find_spec("pkcs11") is None:
        raise ValueError(
            "python-pkcs11 is not installed, which this store needs: pip install"
            " 'pikaserver[pkcs11]'"
        )
    checked = read_settings(settings, folder)
    pin = _pin_source(checked)
    if isinstance(pin, PinFile):
        pin.read()
    return token_store(checked, pin, folder)


def token_store(settings: TokenSettings, pin: PinSource, folder: Path) -> TokenStore:
    """Return the store of checked settings."""

    def start(count: int) -> WorkerProcess:
        facts = {
            "module": str(settings.module),
            **settings.token,
            "login": settings.pin is not None,
            "number": count * _SESSIONS_OF_ONE_WORKER,
        }
        return WorkerProcess(facts, settings.environment)

    name = hashlib.sha256(f"{settings.module}\0{settings.name}".encode()).hexdigest()[:16]
    refused = RefusedPins(folder / "state" / f"pkcs11-{name}.pins", entropy)
    pipeline = Pipeline(start, settings.window)
    unlocking = Unlocking(pipeline, pin, refused, settings.timeout)
    return TokenStore(settings, pipeline, unlocking, entropy)


def _pin_source(settings: TokenSettings) -> PinSource:
    kind, value = settings.pin or ("", "")
    if kind == "pin-file":
        return PinFile(Path(value))
    if kind == "pin-credential":
        return PinCredential(os.environ.get("CREDENTIALS_DIRECTORY", ""), value)
    if kind == "pin":
        return PromptedPin(settings.name)
    return NoPin()
