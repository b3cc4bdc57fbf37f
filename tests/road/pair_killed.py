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


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def prepare(moment: str) -> None:
    """Let the process end at a moment."""
    sign, calls = issuance.sign_tbs, []
    with_second = PairEnrollment._with_second  # noqa: SLF001 - the seam of the test

    def signing(*given: object) -> bytes:
        calls.append(given)
        if len(calls) == SIGNATURES.get(moment):
            die()
        return sign(*given)  # type: ignore[arg-type]  # it passes on what it was given

    def finishing(*given: object) -> object:
        if moment == BETWEEN:
            die()
        pair = with_second(*given)  # type: ignore[arg-type]  # it passes on what it was given
        die()
        return pair

    issuance.sign_tbs = signing  # type: ignore[assignment]  # the seam of the test
    if moment in (BETWEEN, AFTER):
        PairEnrollment._with_second = finishing  # type: ignore[assignment, method-assign]  # noqa: SLF001


def requester(server, user: str) -> Requester:
    """Return who shows the code of this user."""
    proof = server.codes.find(user).proof
    return Requester(f"code:{user}", "code", templates=frozenset({"paired"}), proof=proof)


def ask(server, folder: Path, user: str):
    first, second = (read_csr((folder / f"{n}.csr").read_bytes()) for n in ("first", "second"))
    return server.pairs.enroll(asked(first, requester=requester(server, user)), second)


def main(folder: str, moment: str, user: str) -> None:
    """Ask, and be killed."""
    data = Path(folder)
    prepare(moment)
    with open_server(load({}, data=data / "data"), {}) as server:
        ask(server, data, user)


if __name__ == "__main__":
    main(*sys.argv[1:])
