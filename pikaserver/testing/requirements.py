"""Programs that tests call: where one is missing, the test is skipped, or fails where it must not.

``CI=true`` or ``PIKASERVER_TEST_REQUIRE=1`` says that nothing may be missing.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import pytest

NEEDS = "needs "
"""How every skip begins that an installed package would end."""


def require_program(name: str, *, package: str, also_in: Iterable[Path] = ()) -> str:
    """Return the path of a program, from PATH or else from the given folders.

    Without it the test is skipped, or fails where nothing may be missing; either says which
    ``package`` brings it.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, also_in)])
    found = shutil.which(name, path=path)
    return found if found is not None else missing(name, f"install {package}")


def missing(what: str, cure: str) -> NoReturn:
    """Skip the test for want of something, or fail it where nothing may be missing."""
    if os.environ.get("CI") == "true" or os.environ.get("PIKASERVER_TEST_REQUIRE") == "1":
        pytest.fail(f"{NEEDS}{what}: {cure}", pytrace=False)
    pytest.skip(f"{NEEDS}{what}: {cure}", allow_module_level=True)
