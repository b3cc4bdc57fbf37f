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


LOCKS = ["requirements.lock", "requirements-test.lock", "requirements-yubikey.lock"]


@pytest.fixture
def environment(checkout):
    """Give an environment whose Python only notes what pip is asked to install."""
    for name in ["pyproject.toml", *LOCKS]:
        (checkout / name).write_text(name)
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        "#!/bin/sh\n"
        f'echo "$*" >>"{checkout}/asked"\n'
        f'case "$*" in *requirements-yubikey.lock) [ ! -e "{checkout}/unfit" ] ;; esac\n'
    )
    python.chmod(0o755)
    return checkout


def installed(checkout):
    """Return what pip was asked for since the last look."""
    asked = checkout / "asked"
    lines = asked.read_text().splitlines() if asked.exists() else []
    asked.unlink(missing_ok=True)
    return [line.rpartition(" ")[2] for line in lines if " install " in line]


def test_the_packages_for_yubikeys_come_last_and_once(environment):
    """What succeeded is not done again, until its lock file is another one."""
    assert 0 == set_up(environment, ".venv", "test").returncode
    assert ["requirements-test.lock", ".", "requirements-yubikey.lock"] == installed(environment)

    assert 0 == set_up(environment, ".venv", "test").returncode

    assert [] == installed(environment)
    (environment / "requirements-yubikey.lock").write_text("newer")
    assert 0 == set_up(environment, ".venv", "test").returncode
    assert ["requirements-yubikey.lock"] == installed(environment)


def test_whoever_only_runs_the_server_builds_nothing(environment):
    """A host of the server has no compiler."""
    assert 0 == set_up(environment, ".venv", "run").returncode

    assert ["requirements.lock", "."] == installed(environment)


def test_what_cannot_be_built_is_one_loud_line_on_a_machine_of_somebody(environment):
    """The rest is ready, and the next set-up tries only this again."""
    (environment / "unfit").touch()

    run = set_up(environment, ".venv", "test")

    assert 0 == run.returncode
    (line,) = run.stderr.splitlines()
    assert line.startswith("set-up: !!! NOT INSTALLED, and not tested: the packages for YubiKeys")
    assert ".venv/.set-up-yubikey.log says why" in line
    installed(environment)
    (environment / "unfit").unlink()
    assert "" == set_up(environment, ".venv", "test").stderr
    assert ["requirements-yubikey.lock"] == installed(environment)


def test_what_cannot_be_built_fails_the_continuous_integration(environment):
    """Nothing may be left untested there."""
    (environment / "unfit").touch()

    run = set_up(environment, ".venv", "test", CI="true")

    assert 1 == run.returncode
    assert "the packages for YubiKeys could not be installed" in run.stderr
