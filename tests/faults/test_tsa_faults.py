"""Time-stamps while processes die, clocks jump, and two nodes stamp at once."""

import http.client
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.digests import digest
from pikaserver.asn1.time_stamps import write_request
from pikaserver.first_start import FirstStart, set_up
from pikaserver.testing.patience import until
from pikaserver.testing.requirements import require_program
from pikaserver.testing.servers import HOSTNAME, ServerProcess, free_port, running_server
from pikaserver_tsa.verifying import read_token

CLIENTS = 8
KILLS = int(os.environ.get("PIKASERVER_TEST_KILLS", "4"))
QUERY = {"Content-Type": "application/timestamp-query"}
NONCES = itertools.count(1)
SETTLE = "PIKASERVER__PLUGINS__TSA__SETTLE_SECONDS=1"
HOUR = timedelta(hours=1)


def stamp(server):
    """Ask for one time-stamp and return what it says; it answers this very request."""
    nonce = next(NONCES)
    query = write_request(
        "sha256", digest("sha256", b"x"), policy=None, nonce=nonce, certificate_wanted=False
    )
    line = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    try:
        line.request("POST", "/tsa", query, QUERY)
        info = read_token(line.getresponse().read())[1]
    finally:
        line.close()
    assert nonce == info.nonce
    return info


def refused(server):
    """Return why there is no time-stamp."""
    with pytest.raises(MalformedRequest) as refusal:
        stamp(server)
    return str(refusal.value)


class Load:
    """Clients that ask without a pause, until they are told to stop."""

    def __init__(self, *servers):
        self.infos = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._servers = servers

    def __enter__(self):
        self._pool = ThreadPoolExecutor(CLIENTS)
        for number in range(CLIENTS):
            self._pool.submit(self._ask, self._servers[number % len(self._servers)])
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._pool.shutdown()

    def _ask(self, server):
        while not self._stop.is_set():
            try:
                info = stamp(server)
            except (OSError, http.client.HTTPException, MalformedRequest):
                continue
            with self._lock:
                self.infos.append(info)

    def more(self, count):
        """Wait until so many more came."""
        wanted = len(self.infos) + count
        until(lambda: len(self.infos) >= wanted, f"{count} more time-stamps")


@pytest.mark.timeout(120 + 30 * KILLS)
def test_kills_under_load_give_no_serial_twice(tmp_path):
    """RFC 3161 section 2.4.2: unique even after a crash; the time goes on after each of them."""
    dice = random.Random()  # noqa: S311 - moments, no secrets
    with running_server(tmp_path) as server, Load(server) as load:
        for _ in range(KILLS):
            load.more(50)
            time.sleep(dice.uniform(0, 0.2))  # the moment itself is what is tested
            server.kill()
            before = len(load.infos)
            server.start()
            load.more(50)
            earlier = max(info.at for info in load.infos[:before])
            assert earlier < stamp(server).at
        assert "Traceback" not in server.log()

    serials = [info.serial for info in load.infos]
    assert len(serials) == len(set(serials)) > 100 * KILLS
    assert {1} == {serial >> 120 for serial in serials}


@pytest.fixture
def jumpy(tmp_path):
    """A server whose clock a test moves: ``jumpy[1]("+3600")``; its monotonic one runs on."""
    program = require_program("faketime", package="faketime")
    told = subprocess.run(
        [program, "-m", "-f", "+0", "printenv", "LD_PRELOAD"],
        capture_output=True,
        text=True,
        check=True,
    )
    file = tmp_path / "offset"
    file.write_text("+0\n")
    wrapper = (
        *("env", f"LD_PRELOAD={told.stdout.strip()}", f"FAKETIME_TIMESTAMP_FILE={file}"),
        *("FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", SETTLE),
    )
    server = ServerProcess(tmp_path / "data", free_port(), free_port(), wrapper=wrapper)

    def jump(offset):
        # Renamed into place: the server reads it at any moment.
        file.with_suffix(".new").write_text(f"{offset}\n")
        file.with_suffix(".new").rename(file)

    try:
        server.start()
        yield server, jump
    finally:
        server.kill()  # the library that fakes the time may hold threads that wait for a time


def stamped(server):
    """Return what is stamped as soon as it is, at most a few seconds later."""
    found = []

    def tried():
        try:
            found.append(stamp(server))
        except MalformedRequest:
            return False
        return True

    until(tried, "a time-stamp")
    return found[0]


def readiness(server):
    parts = json.loads(server.get("/readyz"))
    return json.dumps(parts)


def test_a_clock_that_jumps_ahead_stops_stamping_until_it_runs_evenly(jumpy):
    """timeNotAvailable, in the log, on the page of the readiness; then by itself again."""
    server, jump = jumpy
    before = stamp(server)

    jump("+3600")

    # Both clocks are read one after the other: the step looks smaller by what lies between.
    stepped = r"TIME_NOT_AVAILABLE; the clock stepped by \+(3600|3599)\."
    assert re.search(stepped, refused(server))
    assert "the clock" in readiness(server)
    assert "tsa.clock" in server.log()
    after = stamped(server)
    assert timedelta() <= after.at - before.at - HOUR < timedelta(minutes=1)
    assert "Traceback" not in server.log()


def test_a_clock_that_is_put_back_needs_an_operator(jumpy):
    """What was stamped cannot be undone; once the clock is accepted, it goes on as it is."""
    server, jump = jumpy
    stamp(server)
    jump("+3600")
    ahead = stamped(server)

    jump("+0")

    assert "stepped by -3600." in refused(server)
    until(lambda: "was stamped already" in refused(server), "another reason")
    server.kill()
    server.start()
    assert "was stamped already" in refused(server)
    server.command("tsa", "accept-clock")
    now = stamped(server)
    assert now.at < ahead.at
    assert abs(now.at - datetime.now(UTC)) < timedelta(minutes=1)


def test_two_nodes_stamp_at_once(tmp_path, postgres):
    """Serials never meet; a node whose clock is behind the other's stops, the other goes on."""
    url = postgres.url(postgres.create_database())
    environment = {"PIKASERVER__DATABASE__URL": url}
    set_up(FirstStart(tmp_path / "data-1", hostname=HOSTNAME), environment)
    shutil.copytree(tmp_path / "data-1", tmp_path / "data-2")
    settings = (f"PIKASERVER__DATABASE__URL={url}", SETTLE)
    nodes = [
        ServerProcess(
            tmp_path / f"data-{number}",
            free_port(),
            free_port(),
            wrapper=("env", *settings, f"PIKASERVER__SERVER__NODE={number}"),
        )
        for number in (1, 2)
    ]
    try:
        for node in nodes:
            node.start()
        with Load(*nodes) as load:
            load.more(200)
            nodes[0].kill()
            load.more(50)
            nodes[0].start()
            load.more(100)
    finally:
        for node in nodes:
            node.stop()

    serials = [info.serial for info in load.infos]
    assert len(serials) == len(set(serials))
    assert {1, 2} == {serial >> 120 for serial in serials}
    assert 1 == len({info.authority for info in load.infos}), "each node made a unit of its own"
