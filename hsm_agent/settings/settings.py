"""The agent's settings, ``agent.toml``: strictly read; nothing in it is secret."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from hsm_agent.faults import SettingsFault
from hsm_agent.places import Place
from hsm_agent.settings.table import Table

STORE_KINDS = ("software", "pkcs11", "piv")
STORE_KEYS: Mapping[str, tuple[str, ...]] = {
    "software": ("folder",),
    "pkcs11": (
        *("module", "token", "serial", "slot", "login", "pin", "pin-file", "pin-credential"),
        *("environment", "window", "timeout", "generate-timeout"),
    ),
    "piv": (
        *("serial", "reader", "pin-file", "pin-credential", "management-key-file"),
        *("attestation-roots", "exclusive", "accept-firmware", "wait"),
    ),
}
"""What may be said about a store, by its kind; the store itself checks the values."""

_AGENT_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?")
_STORE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """One store: its kind, and what that kind wants to know, as it was written."""

    kind: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that is asked to ``CONNECT``; user and password may be empty."""

    host: str
    port: int
    user: str = ""
    password_file: str = ""


@dataclass(frozen=True, slots=True)
class LineSettings:
    """How lines to the nodes are kept; times are seconds.

    ``pinned`` keeps to the nodes of the enrolment; ``window`` is how many requests may wait for
    this agent at once, ``workers`` how many are worked on at once.
    """

    pinned: bool = False
    proxy: Proxy | None = None
    window: int = 64
    workers: int = 16
    connect_timeout: float = 5.0
    drain_timeout: float = 20.0


@dataclass(frozen=True, slots=True)
class Settings:
    """All of ``agent.toml``; ``status`` is host and port of the status page, if it is on."""

    name: str
    stores: Mapping[str, StoreSettings]
    default_store: str = ""
    policy: str = "policy.toml"
    journal: str = "journal"
    line: LineSettings = LineSettings()
    status: tuple[str, int] | None = None


def load_settings(place: Place) -> Settings:
    """Read the settings of a data folder.

    Raises:
        SettingsFault: there are none, or something in them is wrong.
    """
    try:
        octets = place.settings.read_bytes()
    except FileNotFoundError:
        raise SettingsFault(
            f"{place.settings} is not there; it is written by"
            f" 'hsm-agent enroll CODE --data {place.folder}'"
        ) from None
    except OSError as error:
        raise SettingsFault(f"{place.settings} cannot be read: {error.strerror}") from error
    return read_settings(octets, str(place.settings))


def read_settings(octets: bytes, file: str = "agent.toml") -> Settings:
    """Read what a settings file says.

    Raises:
        SettingsFault: one sentence about the first thing that is wrong.
    """
    try:
        table = Table(tomllib.loads(octets.decode()), file)
    except (ValueError, RecursionError) as error:
        raise SettingsFault(f"{file}: {error}") from error
    name = table.text("name")
    if not is_agent_name(name):
        raise table.fault("name", "should be small letters, digits, hyphens, dots; at most 64")
    journal = table.table("journal")
    settings = Settings(
        name=name,
        stores=_stores(table),
        default_store=table.text("default-store", ""),
        policy=table.text("policy", "policy.toml"),
        journal=journal.text("folder", "journal"),
        line=_line(table.table("line")),
        status=_status(table.table("status")),
    )
    journal.end()
    table.end()
    _check_default(settings, table)
    return settings


def is_agent_name(name: str) -> bool:
    """Tell whether an agent may be called so."""
    return _AGENT_NAME.fullmatch(name) is not None


def is_store_name(name: str) -> bool:
    """Tell whether a store may be called so."""
    return _STORE_NAME.fullmatch(name) is not None


def _stores(table: Table) -> dict[str, StoreSettings]:
    found = {}
    for name, inner in table.tables("stores", is_store_name, "a store").items():
        kind = inner.choice("kind", STORE_KINDS)
        found[name] = StoreSettings(kind, inner.options(STORE_KEYS[kind]))
        inner.end()
    return found


def _check_default(settings: Settings, table: Table) -> None:
    if settings.default_store and settings.default_store not in settings.stores:
        raise table.fault("default-store", f"is {settings.default_store!r}, which is no store here")


def _line(table: Table) -> LineSettings:
    defaults = LineSettings()
    line = LineSettings(
        pinned=table.choice("nodes", ("learned", "pinned"), "learned") == "pinned",
        proxy=_proxy(table),
        window=table.number("window", defaults.window, 1, 4096),
        workers=table.number("workers", defaults.workers, 1, 256),
        connect_timeout=table.seconds("connect-timeout", defaults.connect_timeout, 0.1, 120),
        drain_timeout=table.seconds("drain-timeout", defaults.drain_timeout, 0, 600),
    )
    table.end()
    return line


def _proxy(table: Table) -> Proxy | None:
    text = table.text("proxy", "")
    password_file = table.text("proxy-password-file", "")
    if not text:
        return None
    parts = _url(text)
    port = _port(parts) if parts is not None else None
    if parts is None or port is None or parts.scheme != "http" or not parts.hostname:
        raise table.fault("proxy", f"is {text!r}, not http://[USER@]HOST:PORT")
    if parts.password is not None:
        raise table.fault("proxy", "holds a password: put it into a file, see proxy-password-file")
    return Proxy(parts.hostname, port, parts.username or "", password_file)


def _url(text: str) -> SplitResult | None:
    try:
        return urlsplit(text)
    except ValueError:
        return None


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None


def _is_port(text: str) -> bool:
    short = text.isascii() and text.isdecimal() and len(text) <= len(str(HIGHEST_PORT))
    return short and int(text) <= HIGHEST_PORT


def _status(table: Table) -> tuple[str, int] | None:
    text = table.text("bind", "")
    table.end()
    if not text:
        return None
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback or not _is_port(port):
        raise table.fault("bind", f"is {text!r}, not a port of 127.0.0.1 or [::1]")
    return host, int(port)
