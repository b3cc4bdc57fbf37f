"""Files that commands read and write; secrets are written for their owner's eyes only."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from pikaserver.api.errors import ConfigurationError, Conflict, MalformedRequest

LIMIT_OCTETS = 1 << 20
"""The largest file of certificates, keys or requests that a command reads."""

_PASSPHRASE_LIMIT = 1024
_DASH = Path("-")


def read_file(path: Path, limit: int = LIMIT_OCTETS) -> bytes:
    """Return what a file holds, of so many octets at most; ``-`` is standard input.

    Raises:
        ConfigurationError: it cannot be read.
        MalformedRequest: it is too large to be what is wanted.
    """
    try:
        if path == _DASH:
            octets = sys.stdin.buffer.read(limit + 1)
        else:
            with path.open("rb") as file:
                octets = file.read(limit + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    if len(octets) > limit:
        raise MalformedRequest(f"{path} has more than {LIMIT_OCTETS} octets")
    return octets


def read_text(path: Path) -> str:
    """Return the text in a file; ``-`` is standard input.

    Raises:
        ConfigurationError: it cannot be read.
        MalformedRequest: it is too large, or not UTF-8.
    """
    try:
        return read_file(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"{path} is no text in UTF-8") from error


def write_secret(path: Path, octets: bytes) -> None:
    """Write a new file that only its owner can read, durably.

    Raises:
        Conflict: the file exists; nothing was written.
        ConfigurationError: it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise Conflict(f"{path} exists already; it is not overwritten") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error


def write_output(octets: bytes, path: Path | None) -> None:
    """Write something public to a file, or to standard output; a file is replaced.

    Raises:
        ConfigurationError: the file cannot be written.
        click.UsageError: octets that are no text would go to a terminal.
    """
    if path is None or path == _DASH:
        if b"\0" in octets and sys.stdout.isatty():
            raise click.UsageError("this is not text: name a file with --out")
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
        return
    try:
        path.write_bytes(octets)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error


def output_lines(lines: Iterable[str], path: Path | None) -> None:
    """Write lines one by one to a file, or to standard output; a file is replaced.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    if path is None or path == _DASH:
        for line in lines:
            click.echo(line)
        return
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error


def new_passphrase(file: Path | None, purpose: str) -> bytes:
    """Return the passphrase for something that is about to be written.

    Raises:
        ConfigurationError: the file cannot be read or is empty.
    """
    if file is not None:
        return _first_line(file)
    text: str = click.prompt(
        f"New passphrase for {purpose}", hide_input=True, confirmation_prompt=True, err=True
    )
    return text.encode()


def known_passphrase(file: Path | None, purpose: str) -> bytes:
    """Return the passphrase of something that is about to be read.

    Raises:
        ConfigurationError: the file cannot be read or is empty.
    """
    if file is not None:
        return _first_line(file)
    text: str = click.prompt(f"Passphrase of {purpose}", hide_input=True, err=True)
    return text.encode()


def _first_line(path: Path) -> bytes:
    line = read_file(path).partition(b"\n")[0].rstrip(b"\r")
    if not 1 <= len(line) <= _PASSPHRASE_LIMIT:
        raise ConfigurationError(
            f"the first line of {path} is no passphrase: it has {len(line)} octets"
        )
    return line
