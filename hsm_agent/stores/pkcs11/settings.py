"""The settings of a PKCS#11 store, ``[stores.NAME]`` of ``agent.toml``."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hsm_agent.wire.encoding import LARGEST

KEYS = (
    *("module", "token", "serial", "slot", "login", "pin", "pin-file", "pin-credential"),
    *("environment", "window", "timeout", "generate-timeout"),
)
_TOKEN = ("token", "serial", "slot")
_PIN = ("pin", "pin-file", "pin-credential")
_SETTINGS_FOR_OTHERS = ("kind",)


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """One token of one module.

    ``token`` has one of the keys ``token`` (its label), ``serial`` and ``slot`` (a number);
    ``pin`` is the key that says where the PIN is, and its value; none where nobody logs in.
    ``window`` is how many requests are handed to the module's process at once.  Times are
    seconds: after that long, a module that does not answer counts as hanging.
    """

    module: Path
    token: Mapping[str, str | int]
    pin: tuple[str, str] | None
    environment: Mapping[str, str] = field(default_factory=dict)
    window: int = 64
    timeout: float = 20.0
    generate_timeout: float = 600.0

    @property
    def name(self) -> str:
        """What people call the token."""
        ((kind, value),) = self.token.items()
        return f"the token {value}" if kind == "token" else f"the token of {kind} {value}"


def read_settings(values: Mapping[str, object], folder: Path) -> TokenSettings:
    """Check what a settings file says about one store; paths start in the agent's folder.

    Raises:
        ValueError: one sentence about the first thing that is wrong.
    """
    for key in values:
        if key not in (*KEYS, *_SETTINGS_FOR_OTHERS):
            close = difflib.get_close_matches(key, KEYS, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{key} is not a setting of a PKCS#11 store{meant}")
    usual = TokenSettings(Path(), {}, None)
    return TokenSettings(
        module=_module(values),
        token=_token(values),
        pin=_pin(values, folder),
        environment=_environment(values),
        window=int(_number(values, "window", usual.window, 1, 1024)),
        timeout=_number(values, "timeout", usual.timeout, 0.1, 600),
        generate_timeout=_number(values, "generate-timeout", usual.generate_timeout, 0.1, 3600),
    )


def _module(values: Mapping[str, object]) -> Path:
    module = Path(_text(values, "module"))
    if not module.is_absolute() or not module.is_file():
        raise ValueError(f"module is {str(module)!r}, which is not the full path of a library")
    return module


def _token(values: Mapping[str, object]) -> Mapping[str, str | int]:
    named = _one_of(values, _TOKEN)
    if named != "slot":
        return {named: _text(values, named)}
    return {named: int(_number(values, named, 0, 0, LARGEST))}


def _pin(values: Mapping[str, object], folder: Path) -> tuple[str, str] | None:
    login = values.get("login", True)
    if not isinstance(login, bool):
        raise ValueError("login should be true or false")  # noqa: TRY004  # a setting
    if not login:
        if any(key in values for key in _PIN):
            raise ValueError("login is false, so that no PIN is used: take it out")
        return None
    named = _one_of(values, _PIN)
    value = _text(values, named)
    if named == "pin" and value != "prompt":
        raise ValueError("pin may only be 'prompt': a PIN does not belong here, see pin-file")
    if named == "pin-credential" and "/" in value:
        raise ValueError("pin-credential should be the name of a credential, not a path")
    return named, str(folder / value) if named == "pin-file" else value


def _environment(values: Mapping[str, object]) -> Mapping[str, str]:
    given = values.get("environment", {})
    if not isinstance(given, Mapping):
        raise ValueError("environment should be a table")  # noqa: TRY004  # a setting
    found = {}
    for name, value in given.items():
        if not isinstance(value, str) or not name or "=" in name or "\0" in f"{name}{value}":
            raise ValueError(f"environment.{name} should be a text in quotation marks")
        found[str(name)] = value
    return found


def _one_of(values: Mapping[str, object], keys: tuple[str, ...]) -> str:
    named = [key for key in keys if key in values]
    if len(named) != 1:
        raise ValueError(f"exactly one of {', '.join(keys)} has to be there, not {len(named)}")
    return named[0]


def _text(values: Mapping[str, object], key: str) -> str:
    value = values.get(key)
    if value is None:
        raise ValueError(f"{key} is missing")
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} should be a text in quotation marks")
    return value


def _number(
    values: Mapping[str, object], key: str, usual: float, least: float, most: float
) -> float:
    value = values.get(key, usual)
    whole = isinstance(usual, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise ValueError(f"{key} should be a {'whole ' if whole else ''}number")  # noqa: TRY004  # a setting
    if not least <= value <= most:
        raise ValueError(f"{key} should be {least:g} to {most:g}")
    return value
