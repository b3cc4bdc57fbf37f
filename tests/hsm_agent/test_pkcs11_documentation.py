"""The how-to of PKCS#11 tokens is true: its commands run, and its settings open that token."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

from hsm_agent.stores.pkcs11.opening import open_store
from hsm_agent.stores.store import NewKey
from pikaserver.testing.requirements import require_program
from tests.hsm_agent.softhsm import softhsm_module

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "use-a-pkcs11-token.md"
BLOCK = re.compile(r"^```(sh|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOLDER = "/var/lib/hsm-agent"
MODULE = "/usr/lib/softhsm/libsofthsm2.so"


def run(commands, folder):
    return subprocess.run(
        ["bash", "-euc", commands],
        env={**os.environ, "SOFTHSM2_CONF": f"{folder}/softhsm2.conf"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def test_the_trial_with_softhsm_works_as_written(tmp_path):
    """Token, PIN file, settings, a key, and what OpenSC says about it."""
    for program, package in (("softhsm2-util", "softhsm2"), ("pkcs11-tool", "opensc")):
        require_program(program, package=package)
    section = PAGE.read_text().split("\n## ")[1]
    section = section.replace(FOLDER, str(tmp_path)).replace(MODULE, softhsm_module())
    (_, make), (_, settings), (_, look) = BLOCK.findall(section)
    quoted = [line for line in section.splitlines() if "`sensitive, always" in line]

    run(make, tmp_path)
    store = open_store(tomllib.loads(settings)["stores"]["hsm"], tmp_path)
    assert [] == store.keys()
    store.generate(NewKey("issuing-1", "ec-p256"))
    store.close()

    assert re.search("`(.*)`", quoted[0])[1] in run(look, tmp_path)
    assert 0o600 == (tmp_path / "trial.pin").stat().st_mode & 0o777
