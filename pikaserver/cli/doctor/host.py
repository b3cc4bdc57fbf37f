"""The doctor on this host: OpenSSL, files, disk, sockets."""

import errno
import fcntl
import os
import re
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.backends.openssl.backend import backend
from cryptography.hazmat.primitives.asymmetric import mldsa

from pikaserver.cli.databases import sqlite_file
from pikaserver.cli.doctor.findings import Finding, fine, problem, warning
from pikaserver.settings.loading import Settings
from pikaserver.settings.model import KeySourceKind, ListenerSettings

_TOO_LITTLE = 100 << 20
_LITTLE = 1 << 30
_OTHERS = 0o077
_PRIVATE_FOLDER = "chmod 700 {}"
_PRIVATE_FILE = "chmod 600 {}"
# The first releases of each line in which CMS is parsed safely (CVE-2026-45447 and others).
_OPENSSL_FLOORS = {(3, 0): 21, (3, 5): 7, (3, 6): 3, (4, 0): 1}


def openssl() -> Iterator[Finding]:
    """Look at the OpenSSL inside ``cryptography``."""
    text = backend.openssl_version_text()
    version = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    major, minor, patch = map(int, version.groups()) if version else (0, 0, 0)
    floor = _OPENSSL_FLOORS.get((major, minor), 0)
    if (major, minor) < min(_OPENSSL_FLOORS) or patch < floor:
        advice = "Upgrade the package 'cryptography', or the distribution's OpenSSL."
        yield warning("openssl", f"{text} has known faults", advice)
    else:
        yield fine("openssl", text)
    try:
        mldsa.MLDSA44PrivateKey.generate()
    except UnsupportedAlgorithm:
        advice = "Only keys of type ml-dsa need it: upgrade the package 'cryptography'."
        yield warning("ml-dsa", "not in this OpenSSL", advice)
    else:
        yield fine("ml-dsa", "available")


def files(settings: Settings) -> Iterator[Finding]:
    """Look who may read what only this server should."""
    host = settings.host
    yield _private("data folder", host.data.directory, _PRIVATE_FOLDER)
    if host.keys.kind is KeySourceKind.FILE:
        yield _private("key-encryption key", host.path(host.keys.name), _PRIVATE_FILE)
    database = sqlite_file(host.database.url)
    if database is not None:
        yield _private("database file", database, _PRIVATE_FILE)
    for name, listener in host.listeners.items():
        if listener.tls is not None and listener.tls.key is not None:
            yield _private(f"tls key of {name}", host.path(listener.tls.key), _PRIVATE_FILE)


def disk_space(settings: Settings) -> Iterator[Finding]:
    """Look how much room is left for the database."""
    folder = settings.host.data.directory
    free = shutil.disk_usage(folder).free if folder.exists() else 0
    found = f"{free >> 20} MiB are free in {folder}"
    advice = "Make room: without it nothing can be stored, and so nothing is signed."
    if free < _TOO_LITTLE:
        yield problem("disk", found, advice)
    elif free < _LITTLE:
        yield warning("disk", found, advice)
    else:
        yield fine("disk", found)


def listeners(settings: Settings) -> Iterator[Finding]:
    """Look whether each address can be listened on, or is ours already."""
    running = _server_runs(settings.host.data.directory)
    for name, listener in settings.host.listeners.items():
        yield _listener(f"listener {name}", listener, running=running)


def _private(check: str, path: Path, command: str) -> Finding:
    try:
        found = path.stat()
    except OSError as error:
        advice = "Bring it back from a backup, or correct the setting that names it."
        return problem(check, f"{path}: {error.strerror}", advice)
    mode = stat.S_IMODE(found.st_mode)
    if mode & _OTHERS:
        return problem(check, f"others may use {path} ({mode:03o})", f"{command.format(path)}.")
    if not os.access(path, os.R_OK | os.W_OK):
        advice = "Run this as the user that the server runs as, or give it the file."
        return problem(check, f"{path} cannot be read and written by this user", advice)
    return fine(check, f"{path} is its owner's alone")


def _listener(check: str, listener: ListenerSettings, *, running: bool) -> Finding:
    if listener.unix_path is not None:
        folder = Path(listener.unix_path).parent
        if folder.is_dir():
            return fine(check, f"{listener.bind} can be made")
        return problem(check, f"there is no folder {folder}", f"mkdir {folder}, or change 'bind'.")
    failure = _bind(*listener.address)
    if failure is None:
        return fine(check, f"{listener.bind} is free")
    if failure.errno == errno.EADDRINUSE and running:
        return fine(check, f"a running server listens on {listener.bind}")
    advice = {
        errno.EADDRINUSE: "Another program listens there: stop it, or change 'bind'.",
        errno.EACCES: "Ports below 1024 need CAP_NET_BIND_SERVICE, or take a higher one.",
        errno.EADDRNOTAVAIL: "No interface of this host has that address: change 'bind'.",
    }.get(failure.errno or 0, "Change 'bind'.")
    return problem(check, f"{listener.bind}: {failure.strerror}", advice)


def _bind(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def _server_runs(folder: Path) -> bool:
    """Tell whether somebody holds the lock of ``pikaserver.storage.database.server_lock``."""
    with suppress(FileNotFoundError), (folder / "server.lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
