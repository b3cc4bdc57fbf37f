"""``scripts/system-packages``: what it finds missing; nothing is installed here."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "system-packages"
TOOLS = ("cat", "env", "id", "ls", "sh", "tr")


@pytest.fixture
def bare(tmp_path):
    """Give a function that runs the script where next to no program is there."""
    for name in TOOLS:
        (tmp_path / name).symlink_to(str(shutil.which(name)))

    def run(manager):
        (tmp_path / manager).symlink_to("/bin/false")
        environment = {"PATH": str(tmp_path), "PIKASERVER_SYSTEM_PACKAGES": "no"}
        done = subprocess.run([SCRIPT], env=environment, capture_output=True, text=True, check=True)
        assert "" == done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize(
    ("manager", "packages"),
    [
        ("apt-get", ["openssl", "opensc", "swig", "gcc libc6-dev", "python3-dev"]),
        ("dnf", ["openssl", "opensc", "swig", "gcc", "python3-devel"]),
    ],
)
def test_what_is_missing_is_named_where_it_may_not_be_installed(bare, manager, packages):
    """By the names of the system's own packages, in one line."""
    (line,) = bare(manager).splitlines()

    assert line.startswith("system-packages: not installed, for lack of rights: ")
    for package in packages:
        assert f" {package} " in f"{line} "


def test_a_system_without_a_known_manager_is_left_alone(tmp_path):
    """Nothing is said, and nothing fails."""
    (tmp_path / "sh").symlink_to(str(shutil.which("sh")))

    run = subprocess.run(
        [SCRIPT], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    assert (0, "", "") == (run.returncode, run.stdout, run.stderr)
    assert os.access(SCRIPT, os.X_OK)
