"""Fixtures for tests of the whole house."""

import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pikaserver.testing.postgres import PostgresMissing, postgres_cluster
from pikaserver.testing.requirements import missing

# How long an example takes is a matter of the machine and of what else it does.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")


class PluginShelf:
    """A folder on the import path in which plugins get installed for one test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._modules: list[str] = []

    def install(self, name, source, *, distribution=None, module=None):
        """Write a module and the metadata that an installer would have left."""
        distribution = distribution or f"pikaserver-{name}"
        module = module or f"shelf_{name.replace('-', '_')}"
        (self._folder / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        metadata = self._folder / f"{distribution.replace('-', '_')}-1.5.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\nSummary: Does {name}\n",
            encoding="utf-8",
        )
        (metadata / "entry_points.txt").write_text(
            f"[pikaserver.plugins]\n{name} = {module}\n", encoding="utf-8"
        )
        self._modules.append(module)

    def imported(self, name):
        """Tell whether a plugin's module was imported."""
        return f"shelf_{name.replace('-', '_')}" in sys.modules

    def clear(self):
        """Forget the modules."""
        for module in self._modules:
            sys.modules.pop(module, None)


@pytest.fixture(scope="session")
def postgres():
    """A throw-away PostgreSQL cluster, for all tests of this process."""
    try:
        with postgres_cluster() as cluster:
            yield cluster
    except PostgresMissing as without:
        missing("PostgreSQL", str(without))


@pytest.fixture
def plugin_shelf(tmp_path, monkeypatch):
    """Give a place to install plugins that only this test sees."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    shelf = PluginShelf(folder)
    yield shelf
    shelf.clear()
