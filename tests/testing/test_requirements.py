"""Missing programs: a loud skip on a developer's machine, a failure where none may be missing."""

import subprocess
import sys

import pytest

from pikaserver.testing.openssl import require_ml_dsa_openssl
from pikaserver.testing.requirements import require_program

TEST_OF_A_MISSING_PROGRAM = """
from pikaserver.testing.requirements import require_program

def test_it():
    require_program("no-such-program", package="no-such-package")
"""


@pytest.fixture
def lenient(monkeypatch):
    """Play a developer's machine, wherever the test runs."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("PIKASERVER_TEST_REQUIRE", raising=False)


def test_a_program_is_found_on_the_path_and_in_further_folders(tmp_path):
    """The path that comes back can be called."""
    program = tmp_path / "found-here"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    found = require_program("found-here", package="any", also_in=[tmp_path])

    assert str(program) == found
    assert require_program("sh", package="any").endswith("/sh")


@pytest.mark.usefixtures("lenient")
def test_a_missing_program_skips_the_test_and_names_the_package():
    """A developer learns what to install."""
    with pytest.raises(pytest.skip.Exception, match="needs nothing-here: install that-package"):
        require_program("nothing-here", package="that-package")


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("variable", ["CI=true", "PIKASERVER_TEST_REQUIRE=1"])
def test_a_missing_program_fails_the_test_where_nothing_may_be_missing(variable, monkeypatch):
    """A gap in the continuous integration cannot stay unseen."""
    monkeypatch.setenv(*variable.split("="))

    with pytest.raises(pytest.fail.Exception, match="needs nothing-here: install that-package"):
        require_program("nothing-here", package="that-package")


@pytest.mark.usefixtures("lenient")
def test_what_was_not_tested_is_listed_before_the_closing_line(tmp_path):
    """The list is loud, and pytest's own closing line stays the last one."""
    (tmp_path / "test_missing.py").write_text(TEST_OF_A_MISSING_PROGRAM)

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "pikaserver.testing.pytest_plugin", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    *lines, closing = run.stdout.splitlines()
    heading = next(n for n, line in enumerate(lines) if " NOT TESTED on this machine " in line)
    assert "1 skipped: needs no-such-program: install no-such-package" == lines[heading + 1]
    assert "1 skipped in" in closing


def test_the_ml_dsa_verifier_signs_and_verifies(tmp_path):
    """What `require_ml_dsa_openssl` finds can really do it."""
    openssl = require_ml_dsa_openssl()
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["req", "-x509", "-newkey", "ML-DSA-65", "-noenc", "-subj", "/CN=root"]

    subprocess.run([openssl, *make, "-keyout", key, "-out", certificate], check=True)
    run = subprocess.run(
        [openssl, "verify", "-CAfile", certificate, certificate], check=True, capture_output=True
    )

    assert run.stdout.endswith(b": OK\n")
