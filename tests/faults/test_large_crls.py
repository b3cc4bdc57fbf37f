"""A CRL of many entries: flat memory, progress that is shown, slow clients, kills on the way."""

import hashlib
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import select

from pikaserver.first_start import FirstStart, set_up
from pikaserver.storage.tables import crl
from pikaserver.testing.servers import HOSTNAME, ServerProcess, free_port
from tests.faults.load import opened
from tests.road.many_revocations import revoke_many

ENTRIES = 60_000
SLOW_CLIENTS = 20
MIB = 1024 * 1024
KILLS = int(os.environ.get("PIKASERVER_TEST_KILLS", "4"))
MOST_KILLS = 10 * KILLS
GENERATE = (sys.executable, "-m", "pikaserver.cli", "crl", "generate", "issuing")
PROBE = """
import os, sys, tracemalloc
from pathlib import Path
from pikaserver.opening import open_server
from pikaserver.settings.loading import load

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024

with open_server(load(os.environ, data=Path(sys.argv[1])), os.environ) as server:
    server.crls.issue("root")
    Path("/proc/self/clear_refs").write_text("5")
    idle = memory("VmRSS")
    server.crls.issue("issuing")
    built = memory("VmHWM") - idle
    tracemalloc.start()
    server.crls.issue("issuing")
    print(built, tracemalloc.get_traced_memory()[1] // 1024)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A server's folder with many revoked certificates; nobody runs on it yet."""
    folder = tmp_path_factory.mktemp("large") / "data"
    set_up(FirstStart(folder, hostname=HOSTNAME), os.environ)
    with opened(folder) as house:
        revoke_many(house, ENTRIES)
        house.crls.issue("issuing")
    return folder


def served(folder):
    """Return what is served, after looking at each entry."""
    with opened(folder) as house:
        record = house.crls.latest("issuing")
        loaded = x509.load_der_x509_crl(record.crl)
        assert loaded.is_signature_valid(house.authorities.key("issuing").certificate.public_key())
        assert ENTRIES == len({one.serial_number for one in loaded}) == record.entries
        return record


def test_memory_does_not_grow_with_the_entries(data):
    """Pages of rows and pieces of octets; beside them only the database's own cache."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(data)], capture_output=True, text=True, check=True
    )

    resident_mib, python_kib = map(int, done.stdout.split())
    size = served(data).content.size
    assert size > 2 * MIB
    assert python_kib * 1024 < size, "as much as the CRL itself"
    assert resident_mib < 48, "more than SQLite's cache"


def test_the_command_shows_how_far_it_is(data):
    """A line on standard error for each 50,000 entries, whether named or due."""
    done = subprocess.run(
        [*GENERATE, "--data", str(data)], capture_output=True, text=True, check=True
    )

    assert "issuing.g1 full: 50000 entries" in done.stderr


@dataclass
class Served:
    """What the kernel knows of a running server."""

    server: ServerProcess

    @property
    def folder(self):
        return Path(f"/proc/{self.server.process.pid}")

    def resident(self):
        lines = (self.folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024

    def scratch(self):
        """Return the octets of files without a name that it holds."""
        octets = 0
        for link in (self.folder / "fd").iterdir():
            try:
                if str(link.readlink()).endswith("(deleted)"):
                    octets += link.stat().st_size
            except OSError:
                continue  # closed meanwhile
        return octets


@pytest.fixture
def running(data):
    server = ServerProcess(data, free_port(), free_port())
    try:
        server.start()
        yield Served(server)
    finally:
        server.stop()


def slow_client(port, form):
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    line.settimeout(60)
    line.connect(("127.0.0.1", port))
    line.sendall(b"GET /crl/issuing.%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % form)
    return line


def bodies(lines):
    """Read all lines in turn, a little at a time; return the hashes of what came."""
    whole = [bytearray() for _ in lines]
    open_lines = dict(enumerate(lines))
    while open_lines:
        for number, line in list(open_lines.items()):
            octets = line.recv(32_768)
            whole[number] += octets
            if not octets:
                open_lines.pop(number).close()
    return [hashlib.sha256(octets.partition(b"\r\n\r\n")[2]).digest() for octets in whole]


def test_slow_clients_share_one_copy_and_stop_nobody(running):
    """They take no thread, no copy on the disk, and next to no memory."""
    der, pem = (running.server.get(f"/crl/issuing.{form}") for form in ("crl", "pem"))
    before, size = running.resident(), len(der)

    forms = [(b"crl", b"pem")[number % 2] for number in range(SLOW_CLIENTS)]
    lines = [slow_client(running.server.http_port, form) for form in forms]
    began = time.monotonic()
    for _ in range(20):
        assert running.server.get("/livez")
    assert der == running.server.get("/crl/issuing.crl")
    waited = time.monotonic() - began

    assert waited < 30
    assert running.scratch() <= size + MIB
    assert running.resident() - before < SLOW_CLIENTS * MIB + 8 * MIB
    expected = {b"crl": hashlib.sha256(der).digest(), b"pem": hashlib.sha256(pem).digest()}
    assert [expected[form] for form in forms] == bodies(lines)
    assert "Traceback" not in running.server.log()


def test_a_newer_one_comes_while_an_older_one_is_read(running, data):
    """Whoever began goes on with what it began; the next one gets the newer one."""
    older = running.server.get("/crl/issuing.crl")
    line = slow_client(running.server.http_port, b"crl")

    subprocess.run([*GENERATE, "--data", str(data)], capture_output=True, check=True)

    newer = running.server.get("/crl/issuing.crl")
    numbers = [
        x509.load_der_x509_crl(one).extensions.get_extension_for_class(x509.CRLNumber).value
        for one in (older, newer)
    ]
    assert numbers[0].crl_number < numbers[1].crl_number
    assert [hashlib.sha256(older).digest()] == bodies([line])


@pytest.mark.timeout(120 + 30 * MOST_KILLS)
def test_a_kill_while_it_is_built_leaves_the_one_before(data):
    """Whenever it comes: the old one is whole, the next number is another one."""
    dice = random.Random()  # noqa: S311 - moments, no secrets
    before = served(data)
    attempt = 0
    # On a busy machine the first ones may all come too late: one has to come while it is built.
    while attempt < KILLS or (attempt < MOST_KILLS and not unfinished(data)):
        maker = subprocess.Popen(
            [*GENERATE, "--data", str(data)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        with maker:
            maker.stderr.readline()  # the first line of the progress
            time.sleep(
                dice.uniform(0, 0.3) * (attempt % KILLS)
            )  # the moment itself is what is tested
            maker.send_signal(signal.SIGKILL)

        after = served(data)
        assert after.number >= before.number
        before = after
        attempt += 1

    with opened(data) as house:
        assert before.number < house.crls.issue("issuing")[0].number
        with house.database.reading() as connection:
            columns = (crl.c.generation_id, crl.c.scope, crl.c.number, crl.c.state)
            rows = connection.execute(select(*columns)).all()
    assert len(rows) == len({(row.generation_id, row.scope, row.number) for row in rows})
    assert "intent" in {row.state for row in rows}, "no kill came while it was built"
    assert before.number < served(data).number


def unfinished(data):
    with closing(sqlite3.connect(data / "pikaserver.db")) as database:
        return database.execute("SELECT 1 FROM crl WHERE state = 'intent'").fetchone()
