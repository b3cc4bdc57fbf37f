"""The packages without which the tests of the card are not even collected."""

import importlib.util

import pytest

from pikaserver.testing.requirements import missing


@pytest.mark.parametrize("module", ["yubikit", "smartcard"])
def test_what_speaks_to_a_yubikey_is_installed(module):
    """There is no wheel of pyscard: where it cannot be built, set-up says why."""
    if importlib.util.find_spec(module) is None:
        missing(f"the package of {module}", "run scripts/set-up .venv test and read what it says")
