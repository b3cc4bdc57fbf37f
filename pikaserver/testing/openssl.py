"""Finds an ``openssl`` that knows ML-DSA (version 3.5 or newer), the judge of such certificates."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from pikaserver.testing.requirements import missing

UNPACKED = Path(".tools/openssl/openssl")
"""Where ``make test`` unpacks one, seen from the folder in which tests run."""


def require_ml_dsa_openssl() -> str:
    """Return the path of an ``openssl`` that signs and verifies with ML-DSA.

    Looked for in ``PIKASERVER_TEST_OPENSSL``, on PATH and where ``make test`` unpacks one.
    Without it the test is skipped, or fails where nothing may be missing.
    """
    candidates = (
        os.environ.get("PIKASERVER_TEST_OPENSSL"),
        shutil.which("openssl"),
        str(UNPACKED.absolute()),
    )
    for candidate in candidates:
        if candidate and _knows_ml_dsa(candidate):
            return candidate
    return missing("an openssl with ML-DSA", "run scripts/fetch-openssl .tools/openssl")


@cache
def _knows_ml_dsa(openssl: str) -> bool:
    command = [openssl, "list", "-signature-algorithms"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 (the tester names the program)
    except OSError:
        return False
    return "ML-DSA-65" in answer.stdout
