"""A process that asks for a pair and is killed at a moment: ``pair_killed FOLDER MOMENT USER``."""

import os
import signal
import sys
from pathlib import Path

from pikaserver.api.issuance import Requester
from pikaserver.asn1.csr import read_csr
from pikaserver.authority import issuance
from pikaserver.authority.pairs import PairEnrollment
from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from tests.road.pair_ground import asked

SIGNATURES = {"first signature": 1, "second signature": 2}
BETWEEN, AFTER = "between both", "after both"


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def prepare(moment):
    """Let the process end at a moment."""
    sign, calls = issuance.sign_tbs, []
    with_second = PairEnrollment._with_second  # noqa: SLF001 - the seam of the test

    def signing(*given):
        calls.append(given)
        if len(calls) == SIGNATURES.get(moment):
            die()
        return sign(*given)

    def finishing(*given):
        if moment == BETWEEN:
            die()
        pair = with_second(*given)
        die()
        return pair

    issuance.sign_tbs = signing
    if moment in (BETWEEN, AFTER):
        PairEnrollment._with_second = finishing  # noqa: SLF001 - the seam of the test


def requester(server, user):
    """Return who shows the code of this user."""
    proof = server.codes.find(user).proof
    return Requester(f"code:{user}", "code", templates=frozenset({"paired"}), proof=proof)


def ask(server, folder, user):
    first, second = (read_csr((folder / f"{n}.csr").read_bytes()) for n in ("first", "second"))
    return server.pairs.enroll(asked(first, requester=requester(server, user)), second)


def main(folder, moment, user):
    """Ask, and be killed."""
    data = Path(folder)
    prepare(moment)
    with open_server(load({}, data=data / "data"), {}) as server:
        ask(server, data, user)


if __name__ == "__main__":
    main(*sys.argv[1:])
