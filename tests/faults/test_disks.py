"""A disk that is full or read-only under a server: told, survived, nothing lost."""

import http.client
import os
import re
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from pikaserver.first_start import FirstStart, set_up
from pikaserver.storage import audit
from pikaserver.testing.servers import HOSTNAME, ServerProcess, free_port
from tests.faults.load import Load, opened

KIB = 1024
FILE_LIMIT = 512 * KIB
DISK = 3 * KIB * KIB
LEFT = 64 * KIB
MOST_ENROLMENTS = 200
PATIENCE_SECONDS = 60
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
# Root may write everywhere; without this capability it meets file modes like anybody.
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()


@dataclass
class LimitedFiles:
    """No file may grow beyond a limit, as with a quota."""

    server: ServerProcess

    @property
    def data(self):
        """The server's folder as others reach it."""
        return self.server.data

    def fill(self):
        """Set the limit; files that are larger already cannot be written beyond it."""
        self._limit(FILE_LIMIT)

    def make_room(self):
        """Lift the limit."""
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, octets):
        limits = (octets, resource.RLIM_INFINITY)
        resource.prlimit(self.server.process.pid, resource.RLIMIT_FSIZE, limits)


@dataclass
class SmallDisk:
    """A file system of the server's own, filled by a ballast."""

    server: ServerProcess

    @property
    def data(self):
        """The server's folder as others reach it."""
        return Path(f"/proc/{self.server.process.pid}/root{self.server.data}")

    def fill(self):
        """Leave only a little."""
        status = os.statvfs(self.data)
        (self.data / "ballast").write_bytes(bytes(status.f_bavail * status.f_bsize - LEFT))

    def make_room(self):
        """Give it back."""
        (self.data / "ballast").unlink()


@pytest.fixture
def prepared(tmp_path):
    """Return a folder that is set up, and a code."""
    folder = tmp_path / "prepared"
    set_up(FirstStart(folder, hostname=HOSTNAME), os.environ)
    with opened(folder) as house:
        made = house.codes.create("device", "test", uses=1000)
    return folder, (made.user, made.code)


@pytest.fixture(params=[LimitedFiles, SmallDisk])
def disk(request, prepared):
    """Start a server on the prepared folder, for the small disk on a copy of it there."""
    folder, _ = prepared
    wrapper = ()
    if request.param is SmallDisk:
        needs(*NAMESPACE)
        copy, folder = folder, folder.with_name("data")
        folder.mkdir()
        mount = f"mount -t tmpfs -o size={DISK},mode=0700 tmpfs {folder}"
        script = f'{mount} && cp -a {copy}/. {folder} && exec "$@"'
        wrapper = (*NAMESPACE, "sh", "-c", script, "sh")
    server = ServerProcess(folder, free_port(), free_port(), wrapper=wrapper)
    try:
        server.start()
        yield request.param(server)
    finally:
        server.stop()


def test_a_full_disk_stops_signing_and_nothing_else(disk, prepared, tmp_path):
    """P1, P8: 503 in EST's words while it lasts, CRLs go on, then all works again."""
    _, code = prepared
    load = Load(disk.server, code)
    assert 200 == load.enrol().status

    disk.fill()
    refused = enrol_until_refused(load)

    assert (503, "text/plain; charset=utf-8") == (refused.status, refused.content_type)
    assert "database" in refused.text
    assert "Traceback" not in refused.text
    assert b"BEGIN X509 CRL" in disk.server.get("/downloads/crl")
    wait_until_told(load)
    disk.make_room()
    assert 200 == load.enrol().status
    assert "Traceback" not in disk.server.log()
    shutil.copytree(disk.data, tmp_path / "copy")
    assert_all_there(tmp_path / "copy", load)


def test_a_folder_without_the_right_to_write_stops_the_start(tmp_path):
    """One sentence, before the first start and after it; then nothing is lost."""
    needs(*UNPRIVILEGED)
    folder = tmp_path / "data"
    server = ServerProcess(folder, free_port(), free_port(), wrapper=UNPRIVILEGED)
    folder.mkdir(mode=0o500)
    assert_start_refused(server, "cannot be .*: Permission denied")

    folder.chmod(0o700)
    server.start()
    load = Load(server, server.code(uses=2))
    assert 200 == load.enrol().status
    server.stop()
    folder.chmod(0o500)
    assert_start_refused(server, "read-only|cannot be")

    for file in folder.iterdir():
        file.chmod(0o400)
    assert_start_refused(server, "read-only|cannot be")

    folder.chmod(0o700)
    assert_start_refused(server, "read-only|cannot be")

    for file in folder.iterdir():
        file.chmod(0o600)
    server.start()
    try:
        assert 200 == load.enrol().status
        assert_all_there(folder, load)
    finally:
        server.stop()


def assert_start_refused(server, pattern):
    """One sentence, no traceback, and a number that says: a setting or the database."""
    with pytest.raises(RuntimeError) as refusal:
        server.start()

    said = str(refusal.value).splitlines()[-1]
    assert server.process.returncode in (4, 5), said
    assert said.startswith("pikaserver: ")
    assert re.search(pattern, said), said
    assert "Traceback" not in server.log()


def enrol_until_refused(load):
    for _ in range(MOST_ENROLMENTS):
        reply = load.enrol()
        if reply.status != http.client.OK:
            return reply
    raise AssertionError("the disk was never full")


def wait_until_told(load):
    """Wait until the readiness says it; what it knows may be a second old."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while b"could not be stored" not in load.server.get("/readyz"):
        assert time.monotonic() < deadline
        load.enrol()


def assert_all_there(data, load):
    with opened(data) as house:
        for der in load.certificates:
            house.certificates.by_certificate(der)
        with house.database.reading() as connection:
            assert audit.verify(connection).problem is None


def needs(*words):
    if words and subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip(f"this machine does not allow {words[0]}")
