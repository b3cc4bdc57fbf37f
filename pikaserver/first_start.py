"""What ``pikaserver up`` makes in an empty folder: settings, keys, a two-level PKI, starters."""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tomlkit
from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.errors import ConfigurationError, RequestRejected
from pikaserver.api.operations import Clock
from pikaserver.api.signing import KeyReference
from pikaserver.api.web import Security, Service
from pikaserver.asn1.algorithms import KEY_TYPES, default_algorithm
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.authority.naming.forms import host_name
from pikaserver.authority.naming.subject_text import read_subject
from pikaserver.authority.templates.starters import starter, starters
from pikaserver.clock import system_clock, system_entropy
from pikaserver.opening import open_server
from pikaserver.plugin_discovery import installed
from pikaserver.server import PkiServer
from pikaserver.settings.loading import FILE_NAME, Flag, Settings, load
from pikaserver.settings.model import KeySettings, KeySourceKind
from pikaserver.signing.key_files import create_key_file
from pikaserver.signing.software import SOFTWARE_KEY_TYPES
from pikaserver.storage.database import server_lock

ROOT, ISSUING = "root", "issuing"
TLS = "tls"
"""A classical authority, and a template, for the server's own certificate: only where the
hierarchy is post-quantum, which the TLS of most clients cannot verify yet."""

ACTOR = "up"
DISTRIBUTION = "pikaserver"
_AGENTS_PORT = 8444


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What an operator may choose; everything has an answer already."""

    data: Path
    http: str = "127.0.0.1:8080"
    https: str = "127.0.0.1:8443"
    hostname: str = "localhost"
    key_type: str = "ec-p256"
    subject: str = "O=Pikaserver"
    plugins: tuple[str, ...] = ()
    agents: str = ""
    """Where signing agents are awaited; without it beside ``https``."""


def is_set_up(data: Path) -> bool:
    """Tell whether this folder holds a server already."""
    return (data / FILE_NAME).exists()


def set_up(wishes: FirstStart, environment: Mapping[str, str], clock: Clock = system_clock) -> None:
    """Make everything; the settings file comes last, so a broken attempt is made again.

    Raises:
        ConfigurationError: a wish cannot be met, the folder cannot be written, or a plugin is
            unknown.
    """
    _check(wishes)
    _make_folder(wishes.data)
    with server_lock(wishes.data):
        _set_up(wishes, environment, clock)


def _set_up(wishes: FirstStart, environment: Mapping[str, str], clock: Clock) -> None:
    basis = _load(wishes, environment, {"enabled": list(wishes.plugins or bundled_plugins())}, {})
    _make_key_file(basis)
    with open_server(basis, environment) as server:
        services = [service for _, service in server.plugins.services(server.for_plugins)]
    listeners = _listeners(wishes, services)
    plugins = {"enabled": list(basis.host.plugins.enabled)}
    complete = _load(wishes, environment, plugins, listeners)
    with open_server(complete, environment, clock=clock) as server:
        make_hierarchy(server, wishes)
        save_starters(server)
    document = tomlkit.document()
    document.add(tomlkit.comment("Written by 'pikaserver up'; every key is described in"))
    document.add(tomlkit.comment("config/production.toml and docs/reference/settings.md."))
    document["data"] = {"directory": "."}  # so that '--config FILE' finds it from anywhere
    document["server"] = {"hostname": wishes.hostname}
    source = basis.host.keys.key_encryption_key
    if source != KeySettings().key_encryption_key:
        document["keys"] = {"key-encryption-key": source}  # later commands need it, too
    document["plugins"] = plugins | _plugin_sections(wishes, plugins)
    document["listeners"] = listeners
    _write(wishes.data / FILE_NAME, tomlkit.dumps(document))


def _check(wishes: FirstStart) -> None:
    """Refuse what could not become a certificate, before anything is made.

    Raises:
        ConfigurationError: the sentence names the flag.
    """
    if wishes.key_type not in SOFTWARE_KEY_TYPES:
        known = ", ".join(SOFTWARE_KEY_TYPES)
        raise ConfigurationError(f"--key {wishes.key_type!r} is not a key type; there are: {known}")
    try:
        subject = read_subject(wishes.subject)
    except RequestRejected as refusal:
        raise ConfigurationError(f"--subject: {refusal}") from refusal
    if subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        raise ConfigurationError(
            "--subject goes without CN, because each authority gets one of its own: 'O=Example'"
        )
    try:
        host_name(wishes.hostname)
    except RequestRejected as refusal:
        raise ConfigurationError(f"--hostname: {refusal}") from refusal


def bundled_plugins() -> list[str]:
    """Return the plugins that ship with the server and so need no settings."""
    return [plugin.name for plugin in installed() if plugin.distribution == DISTRIBUTION]


def make_hierarchy(server: PkiServer, wishes: FirstStart) -> None:
    """Make the root and the issuing authority below it, as far as they are not there.

    OpenSSL before 3.5 does not verify a TLS certificate that is signed with ML-DSA, and most
    clients have none newer.  So beside such a pair stands a small root that signs nothing but
    the server's own certificate.
    """
    authorities = server.authorities
    known = [name for name in authorities.names() if authorities.get(name).generations]
    if ROOT not in known:
        server.ceremony.create_root(_plan(ROOT, "Root CA", wishes, path_length=1), ACTOR)
    if ISSUING not in known:
        plan = _plan(ISSUING, "Issuing CA", wishes, path_length=0)
        server.ceremony.create_subordinate(plan, ROOT, ACTOR)
    if TLS not in known and not _is_classical(wishes.key_type):
        classical = replace(wishes, key_type="ec-p256")
        server.ceremony.create_root(_plan(TLS, "TLS Root CA", classical, path_length=0), ACTOR)


def save_starters(server: PkiServer) -> None:
    """Save every starter as a template of its own name, as far as it is not there."""
    known = server.templates.names()
    documents = starters(issuing=ISSUING, root=ROOT)
    if TLS in server.authorities.names():
        documents[TLS] = _own_template()
    for name, document in documents.items():
        if name not in known:
            server.templates.save(name, document, ACTOR)


def _own_template() -> str:
    """Return the starter for web servers, for the server itself and nobody else."""
    document = tomlkit.parse(starter("web", issuing=TLS))
    document["description"] = "The server's own TLS certificate"
    document["doors"] = ["cli"]
    document["proofs"] = ["operator"]
    document["renewal"] = {"allowed": False}
    del document["client-authorities"]
    return tomlkit.dumps(document)


def _plan(name: str, title: str, wishes: FirstStart, *, path_length: int) -> AuthorityPlan:
    organisation = read_subject(wishes.subject)
    common_name = x509.NameAttribute(NameOID.COMMON_NAME, f"{_short(organisation)} {title}")
    subject = x509.Name([*organisation, common_name])
    return AuthorityPlan(
        name=name,
        content=CaContent(subject, path_length=path_length),
        key_type=wishes.key_type,
        key=KeyReference("software", f"{name}-1"),
        algorithm=default_algorithm(wishes.key_type),
    )


def _is_classical(key_type: str) -> bool:
    return KEY_TYPES[key_type].category == 0


def _plugin_sections(
    wishes: FirstStart, plugins: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, object]]:
    """Return what the plugins are told besides.

    The chain for download includes what signs the server's own certificate; signing agents
    are awaited beside the listener for devices.
    """
    sections: dict[str, dict[str, object]] = {}
    if not _is_classical(wishes.key_type) and "crl" in plugins["enabled"]:
        sections["crl"] = {"chain-also": [TLS]}
    if "agents" in plugins["enabled"]:
        sections["agents"] = {"bind": wishes.agents or _beside(wishes.https)}
    return sections


def _beside(bind: str) -> str:
    """Return the next port of a listener's address, or another one where that is taken."""
    host, _, port = bind.rpartition(":")
    if not port.isdecimal():
        return f"0.0.0.0:{_AGENTS_PORT}"  # beside a Unix socket there is no port
    wanted = (int(port) + 1, 0) if int(port) else ()
    found = next(filter(None, (_free(host.strip("[]"), number) for number in wanted)), int(port))
    return f"{host}:{found}"


def _free(host: str, port: int) -> int | None:
    """Return a port on which nobody listens: this one, or for 0 any."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.bind(address)
            return int(probe.getsockname()[1])
    except (OSError, OverflowError):
        return None


def _short(subject: x509.Name) -> str:
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in subject.get_attributes_for_oid(oid):
            return str(attribute.value)[:40]
    return "Example"


def _listeners(wishes: FirstStart, services: Sequence[Service]) -> dict[str, object]:
    """Let the plain listener serve signed objects only, and the other one everything."""
    plain = [one.name for one in services if one.security is Security.PLAIN]
    return {
        "public": {"bind": wishes.http, "serve": ["health", *plain]},
        "devices": {
            "bind": wishes.https,
            "tls": {"certificate": "auto"},
            "client-certificates": "optional",
            "serve": ["health", *(one.name for one in services)],
        },
    }


def _load(
    wishes: FirstStart,
    environment: Mapping[str, str],
    plugins: Mapping[str, object],
    listeners: Mapping[str, object],
) -> Settings:
    flags = [
        Flag(("server", "hostname"), wishes.hostname, "--hostname"),
        Flag(("plugins", "enabled"), plugins["enabled"], "--plugins"),
        Flag(("listeners",), listeners, "--http and --https"),
    ]
    return load(environment, data=wishes.data, flags=flags)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be made: {error.strerror}") from error


def _make_key_file(settings: Settings) -> None:
    """Make the key-encryption key, unless it comes from elsewhere or is there already."""
    keys = settings.host.keys
    path = settings.host.path(keys.name)
    if keys.kind is KeySourceKind.FILE and not path.exists():
        create_key_file(path, system_entropy)


def _write(path: Path, text: str) -> None:
    """Write a file for its owner, so that it is there as a whole or not at all."""
    draft = path.with_suffix(".draft")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
