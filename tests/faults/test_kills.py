"""Kill -9 in the middle of many enrolments: what a client got is there, whatever happened."""

import os
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from pikaserver.api.certificates import (
    CertificateQuery,
    CertificateStatus,
    Revocation,
    RevocationReason,
)
from pikaserver.storage import audit
from pikaserver.storage.code_table import enrollment_code
from pikaserver.storage.tables import certificate
from pikaserver.testing.servers import ServerProcess, free_port, running_server
from tests.faults.load import Load, opened

DEVICES = 300
ROUNDS = int(os.environ.get("PIKASERVER_TEST_KILLS", "4"))
"""A release is tested with 50."""
USES = 1_000_000
RESTART_SECONDS = 60
FIRST_STARTS = 5
FIRST_START_SECONDS = 1.6
REVOKERS = 8


@pytest.fixture
def server(tmp_path):
    with running_server(tmp_path) as started:
        yield started


# A handshake that is cut leaves Python's ssl with a socket that nobody can close.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(300 + 30 * ROUNDS)
def test_kills_at_any_moment_lose_nothing(server):
    """P1, P2, P3: restart in time, every received certificate there, and revocable."""
    dice, restarts = random.Random(), []  # noqa: S311 - moments, no secrets
    load = Load(server, server.code(uses=USES))
    with ThreadPoolExecutor(DEVICES) as pool:
        began = time.monotonic()
        wait(load.start(DEVICES, pool))
        whole = time.monotonic() - began
        assert {200, 503} >= set(load.outcomes), load.outcomes

        for _ in range(ROUNDS):
            devices = load.start(DEVICES, pool)
            time.sleep(dice.uniform(0, whole))  # the moment itself is what is tested
            server.kill()
            wait(devices)
            began = time.monotonic()
            server.start()
            restarts.append(time.monotonic() - began)

    assert max(restarts) < RESTART_SECONDS, restarts
    sys.stdout.write(f"{load.outcomes}, slowest restart after {max(restarts):.1f} s\n")
    assert len(load.certificates) == len(set(load.certificates)) > DEVICES // 2
    with opened(server.data) as house:
        check_tables(house, load)
        records = [house.certificates.by_certificate(der) for der in load.certificates]
        assert {CertificateStatus.VALID} == {record.status for record in records}
        with ThreadPoolExecutor(REVOKERS) as pool:
            for _ in pool.map(lambda record: revoke(house, record), records):
                pass
        check_audit(house)
    server.wait_for_crl(*(record.serial for record in records))
    assert "Traceback" not in server.log()


def test_a_first_start_that_was_killed_is_made_again(tmp_path):
    """Whatever was there already is used: one root, one issuing authority, no manual step."""
    dice = random.Random()  # noqa: S311 - moments, no secrets
    server = ServerProcess(tmp_path / "data", free_port(), free_port())
    for _ in range(FIRST_STARTS):
        server.begin()
        time.sleep(dice.uniform(0.2, FIRST_START_SECONDS))
        server.kill()

    server.start()

    try:
        with opened(server.data) as house:
            assert {"root", "issuing"} == set(house.authorities.names())
            query = CertificateQuery(status=CertificateStatus.VALID)
            assert 3 == len(house.certificates.find(query))
            check_audit(house)
    finally:
        server.stop()


def revoke(house, record):
    revocation = Revocation(datetime.now(UTC), RevocationReason.KEY_COMPROMISE)
    return house.revoke(record, revocation, "test")


def check_audit(house):
    with house.database.reading() as connection:
        assert audit.verify(connection).problem is None


def check_tables(house, load):
    """No serial twice, no intent left open, and no use of the code without its certificate."""
    check_audit(house)
    with house.database.reading() as connection:
        serials = connection.execute(select(certificate.c.serial)).scalars().all()
        states = connection.execute(
            select(certificate.c.state, func.count().label("certificates"))
            .where(certificate.c.requester == f"code:{load.code[0]}")
            .group_by(certificate.c.state)
        )
        stored = Counter({row.state: row.certificates for row in states})
        left = connection.execute(
            select(enrollment_code.c.uses_left).where(enrollment_code.c.user == load.code[0])
        ).scalar_one()
    assert len(serials) == len(set(serials))
    assert {"issued", "abandoned"} >= set(stored)
    assert stored["issued"] >= len(load.certificates)
    assert stored.total() == USES - left
