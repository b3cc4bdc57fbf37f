"""``scripts/set-up``: what it refuses, in one sentence each, and that it works once only."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def checkout(tmp_path):
    """Give a checkout that holds the scripts and next to nothing else."""
    shutil.copytree(SCRIPTS, tmp_path / "checkout" / "scripts")
    return tmp_path / "checkout"


def set_up(checkout, *arguments, **environment):
    return subprocess.run(
        [checkout / "scripts" / "set-up", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def old_python(folder):
    program = folder / "python-old"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    return str(program)


def test_an_unfit_python_is_explained_with_the_package_to_install(checkout, tmp_path):
    """Nothing is made with an interpreter that is too old."""
    run = set_up(checkout, ".venv", "run", PYTHON=old_python(tmp_path))

    assert 1 == run.returncode
    assert "no Python 3.11 or newer was found: install python3 with apt-get" in run.stderr
    assert not (checkout / ".venv" / "pyvenv.cfg").exists()


def test_a_folder_that_is_no_environment_is_left_alone(checkout, tmp_path):
    """``VENV=$HOME`` by mistake must not empty somebody's home."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter").write_text("dear")

    run = set_up(checkout, str(tmp_path / "home"), "run")

    assert 1 == run.returncode
    assert "is not a virtual environment" in run.stderr
    assert "dear" == (tmp_path / "home" / "letter").read_text()


def test_an_environment_that_cannot_be_written_is_named(checkout):
    """The sentence says which variable helps."""
    run = set_up(checkout, "/proc/nowhere", "run")

    assert 1 == run.returncode
    assert "cannot write to /proc/nowhere: name another place, VENV=/path" in run.stderr


def test_an_unknown_kind_is_refused(checkout):
    """There are two lock files and no third."""
    run = set_up(checkout, ".venv", "production")

    assert 1 == run.returncode
    assert "what is 'production'?" in run.stderr
