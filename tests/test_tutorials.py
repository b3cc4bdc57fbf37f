"""The tutorials are true: their commands run, in order, and print what the page says.

Blocks with the caption "First terminal" start a server, those with "Third terminal" something else
that goes on running; those with "Second terminal" are run one after the other, and what they export
stays.  Lines that begin with ``$`` are commands, the others are what they print; ``…`` stands for
any text.  Ports are replaced by free ones.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pikaserver.testing.patience import until
from pikaserver.testing.requirements import missing, require_program
from pikaserver.testing.servers import free_port

PAGES = sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(
    r"^```\{code-block\} console\n:caption: (First|Second|Third) terminal\n\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
PORTS = ("8080", "8443", "8444")
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
TOKEN_PROGRAMS = {"softhsm2-util": "softhsm2", "pkcs11-tool": "opensc"}
"""What only some pages need, and the package that brings it."""
REMEMBER = "{{ [ ! -e .exports ] || . ./.exports; }}\n{0}\nexport -p >.exports"
"""Each block has a shell of its own."""


@dataclass(frozen=True)
class Block:
    """Commands and what the page says that they print."""

    terminal: str
    commands: str
    printed: str


def blocks(page):
    for terminal, text in BLOCK.findall(page):
        lines = text.splitlines()
        commands = "\n".join(line[2:] for line in lines if line.startswith("$ "))
        printed = "\n".join(line for line in lines if line and not line.startswith("$ "))
        yield Block(terminal, commands, printed)


def pattern(printed):
    """Match the lines of a page, each of which may continue, with others in between."""
    lines = [re.escape(line).replace("…", ".*") for line in printed.splitlines()]
    return "(.*\n)*".join(f"{line}\n" for line in lines)


@pytest.fixture
def environment(page):
    """Give an environment in which ``pikaserver`` is the one under test."""
    folder = Path(sys.executable).parent
    if shutil.which("pikaserver", path=str(folder)) is None:
        missing("an installed pikaserver", "run make test")
    for program in ("bash", "curl", "openssl"):
        require_program(program, package=program)
    text = page.read_text()
    for program, package in TOKEN_PROGRAMS.items():
        if program in text:
            require_program(program, package=package)
    if SOFTHSM in text and not Path(SOFTHSM).exists():
        missing(f"{SOFTHSM}, as Debian has it", "install softhsm2")
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def free_ports():
    """Give a free port for each one of the pages."""
    return {port: str(free_port()) for port in PORTS}


@pytest.fixture
def start(tmp_path, environment):
    """Give a function that starts what goes on running, and waits until it printed its lines."""
    started = []

    def start_(block):
        *before, last = block.commands.splitlines()
        log = tmp_path / f"{block.terminal}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                ["bash", "-c", "\n".join([*before, f"exec {last}"])],
                cwd=tmp_path,
                env=environment,
                stdout=output,
                stderr=output,
            )
        started.append(process)
        until(lambda: re.search(pattern(block.printed), log.read_text()), block.printed, 60)

    yield start_
    for process in reversed(started):
        process.terminate()
        process.wait(timeout=60)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_does_what_it_says(page, tmp_path, environment, free_ports, start):
    """Whoever types the commands of a page sees what the page shows."""
    # All at once: a free port may hold the digits of one of the pages.
    text = re.sub("|".join(PORTS), lambda port: free_ports[port[0]], page.read_text())

    for block in blocks(text):
        if block.terminal != "Second":
            start(block)
            continue
        run = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", REMEMBER.format(block.commands)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == run.returncode, f"{block.commands}\n{run.stdout}{run.stderr}"
        assert re.search(pattern(block.printed), run.stdout), f"{block.commands}\n{run.stdout}"


def test_every_tutorial_has_commands_that_run():
    """A typing mistake in a caption would switch a page's test off."""
    terminals = {page: {b.terminal for b in blocks(page.read_text())} for page in PAGES}

    assert terminals
    assert all({"First", "Second"} <= found for found in terminals.values())
