"""The command line in this process, on the data of a server that was really set up."""

import contextlib
import io
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from pikaserver.cli.main import run
from pikaserver.first_start import FirstStart, set_up


@dataclass
class Answer:
    """How a command ended."""

    code: int
    octets: bytes
    errors: str

    @property
    def text(self):
        """What it wrote to standard output."""
        return self.octets.decode()

    @property
    def json(self):
        """The same, read as JSON."""
        return json.loads(self.octets)


class Shell:
    """Runs ``pikaserver`` as a shell would; ``folder`` is for files."""

    def __init__(self, data, folder):
        self.data = data
        self.folder = folder

    def try_(self, *words, given=""):
        """Run a command that may fail; ``given`` is its standard input."""
        octets = given.encode() if isinstance(given, str) else given
        out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
        typed = io.TextIOWrapper(io.BytesIO(octets))
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.object(sys, "stdin", typed),
        ):
            code = run([*map(str, words), "--data", str(self.data)])
        return Answer(code, out.buffer.getvalue(), err.buffer.getvalue().decode())

    def __call__(self, *words, given=""):
        """Run a command that does not fail."""
        answer = self.try_(*words, given=given)
        assert 0 == answer.code, answer.errors + answer.text
        return answer

    def json(self, *words):
        """Run a command and return the JSON that it wrote."""
        return self(*words, "-o", "json").json

    def file(self, name, content=b""):
        """Write a file and return its path."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """A data folder as ``pikaserver init`` leaves it; to be copied, never used."""
    data = tmp_path_factory.mktemp("prepared") / "data"
    set_up(FirstStart(data=data, hostname="pki.example.test"), {})
    return data


@pytest.fixture(scope="module")
def shell(prepared, tmp_path_factory) -> Shell:
    """One server's data for the tests of a file, which may follow each other's deeds."""
    folder = tmp_path_factory.mktemp("shell")
    data = folder / "data"
    shutil.copytree(prepared, data)
    return Shell(data, folder)


@pytest.fixture
def fresh_shell(prepared, tmp_path) -> Shell:
    """The data of a server that nobody has touched yet."""
    shutil.copytree(prepared, tmp_path / "data")
    return Shell(tmp_path / "data", tmp_path)
