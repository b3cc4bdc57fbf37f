"""A server's data for commands, and programs."""

import pytest

from pikaserver.cli.main import run
from pikaserver.clock import system_clock
from pikaserver.first_start import FirstStart, set_up
from pikaserver.testing.requirements import require_program
from tests.tsa.station import House


@pytest.fixture
def house():
    return House()


@pytest.fixture(scope="session")
def openssl():
    return require_program("openssl", package="openssl")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tsa") / "data"
    set_up(FirstStart(folder), {}, system_clock)
    return folder


@pytest.fixture
def tsa(data):
    """Give the command: ``tsa("stamp", file)`` returns its exit code."""
    return lambda *words: run(["tsa", *map(str, words), "--data", str(data)])
