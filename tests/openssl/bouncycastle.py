"""Finds a BouncyCastle that knows ML-DSA and SLH-DSA (1.80 or newer), and lets it judge."""

import os
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from pikaserver.testing.requirements import missing, require_program

UNPACKED = Path(".tools/bouncycastle")
"""Where ``make test`` unpacks one, seen from the folder in which tests run."""

_JARS = ("bcprov", "bcpkix", "bcutil")
_MARK = "org/bouncycastle/jcajce/provider/asymmetric/SLHDSA.class"
_COMPOSITES_MARK = (
    "org/bouncycastle/jcajce/provider/asymmetric/compositesignatures/"
    "KeyPairGeneratorSpi$MLDSA87_Ed448_SHAKE256.class"
)
_SOURCES = sorted((Path(__file__).parent / "java").glob("*.java"))

Judge = Callable[..., str]
"""Takes a folder and jobs like ``certificate:FILE:ISSUER``; returns a line for each.

With ``program="Maker"`` the jobs are names of algorithms, and messages signed with them are made.
"""


def require_bouncycastle(*, composites: bool = False) -> Judge:
    """Return a judge, or skip the test; it fails where nothing may be missing.

    ``composites`` asks for one that knows the present draft of composite ML-DSA (1.84 or newer):
    no stable release of a distribution has that yet, so it is skipped wherever it is missing.

    Looked for in ``PIKASERVER_TEST_BOUNCYCASTLE`` (a folder with the jars), where ``make test``
    unpacks one, and among the system's.
    """
    java = require_program("java", package="default-jdk-headless")
    javac = require_program("javac", package="default-jdk-headless")
    named = os.environ.get("PIKASERVER_TEST_BOUNCYCASTLE")
    places = [Path(named).absolute()] if named else []
    for place in (*places, UNPACKED.absolute() / "usr/share/java", Path("/usr/share/java")):
        if _has(place, _COMPOSITES_MARK if composites else _MARK):
            path = ":".join(str(place / f"{name}.jar") for name in _JARS)
            return _judge(java, f"{_compiled(javac, path)}:{path}")
    if composites:
        return pytest.skip("no BouncyCastle that knows composites; PIKASERVER_TEST_BOUNCYCASTLE")
    return missing("a BouncyCastle 1.80", "run scripts/fetch-bouncycastle .tools/bouncycastle")


def _judge(java: str, path: str) -> Judge:
    def judge(folder: Path, *jobs: str, program: str = "Judge") -> str:
        # A judge is done before the second compiler pays; whoever makes SLH-DSA signatures is not.
        quick = ["-XX:TieredStopAtLevel=1"] if program == "Judge" else []
        command = [java, *quick, "-cp", path, program, *jobs]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout

    return judge


@cache
def _compiled(javac: str, path: str) -> str:
    folder = tempfile.mkdtemp()
    command = [javac, "-nowarn", "-cp", path, "-d", folder, *map(str, _SOURCES)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def _has(place: Path, mark: str) -> bool:
    jar = place / "bcprov.jar"
    return jar.exists() and mark.encode() in jar.read_bytes()
