"""``--version``, which everybody tries first."""

from importlib.metadata import version

import pytest

from hsm_agent.cli import main as agent
from pikaserver.cli import main as server


@pytest.mark.parametrize(("program", "name"), [(server, "pikaserver"), (agent, "hsm-agent")])
def test_version_is_told_in_one_line(program, name, capsys):
    """It needs no command and no data folder."""
    assert 0 == program.run(["--version"])

    assert f"{name} {version('pikaserver')}\n" == capsys.readouterr().out
