"""Lego of today asks for renewal information (RFC 9773), which that of many systems does not."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pikaserver.testing.requirements import NEEDS, missing
from tests.acme.certificate_ids import certificate_id
from tests.acme.desk import b64
from tests.acme_clients.place import serial_of

UNPACKED = Path(".tools/lego/usr/bin/lego")
"""Where ``make test`` unpacks one, seen from the folder in which tests run."""
NAME = "told-by-lego.example.com"
PATIENCE = 5
"""Runs of lego, each longer than a fifth of the second in which the window opens."""


def asks(program):
    """Tell whether a lego knows renewal information."""
    command = [program, "renew", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return "--ari-disable" in told.stdout


@pytest.fixture(scope="module")
def program():
    """Find one: named, of the system, or unpacked; only Debian has a newer one to unpack."""
    unpacked = str(UNPACKED.absolute()) if UNPACKED.exists() else None
    for one in (os.environ.get("PIKASERVER_TEST_LEGO"), shutil.which("lego"), unpacked):
        if one and asks(one):
            return one
    if "\nID=debian\n" not in Path("/etc/os-release").read_text():
        pytest.skip(f"{NEEDS}lego 4.17 or newer: this system's packages have none")
    return missing("lego 4.17 or newer", "run scripts/fetch-lego .tools/lego")


@pytest.fixture
def lego(place, program):
    """Return a function that calls it for one name that needs no proof."""

    def call(*deed):
        done = place.run(
            program, "--server", place.directory("pre"), "--email", "me@example.com",
            "--accept-tos", "--path", place.folder / "lego-of-today", "--http",
            "--domains", NAME, *deed, LEGO_CA_CERTIFICATES=place.root,
        )  # fmt: skip
        return done.stdout + done.stderr

    return call


def test_it_renews_when_it_is_told_to_and_says_what_it_replaces(place, lego):
    """Not before its window opens; then an operator says that the certificate must be replaced."""
    path = place.folder / "lego-of-today" / "certificates" / f"{NAME}.crt"
    lego("run")
    first, pem = serial_of(path), path.read_text()
    key, serial, _ = certificate_id(pem)

    early = lego("renew", "--no-random-sleep")
    assert serial_of(path) == first, early
    place.server.command("cert", "replace", "--name", NAME, "--within", "1s", "--why", "t", "--yes")
    for _ in range(PATIENCE):
        told = lego("renew", "--no-random-sleep")
        if serial_of(path) != first:
            break

    assert serial_of(path) != first, told
    assert [None, f"{key}.{b64(serial)}"] == replacing(place)


def replacing(place):
    """Return what each order for the name replaces, the oldest first."""
    orders = json.loads(place.server.command("acme", "order", "list", "-o", "json"))
    numbers = sorted(one["id"] for one in orders if NAME in json.dumps(one))
    shown = [place.server.command("acme", "order", "show", str(n), "-o", "json") for n in numbers]
    return [json.loads(one)["replaces"] for one in shown]
