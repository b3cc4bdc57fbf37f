"""The examination in its order: what needs the database comes after the database."""

import os
from collections.abc import Iterator

from pikaserver import plugin_manager
from pikaserver.api.errors import PikaserverError
from pikaserver.api.storage import Migrations
from pikaserver.cli.doctor import database as doctor_database
from pikaserver.cli.doctor import host as doctor_host
from pikaserver.cli.doctor import server as doctor_server
from pikaserver.cli.doctor.findings import Finding, State, fine, problem
from pikaserver.cli.invocation import Invocation
from pikaserver.opening import open_server
from pikaserver.plugin_discovery import installed
from pikaserver.settings.loading import Settings


def examine(invocation: Invocation) -> list[Finding]:
    """Return everything that was found; a part that fails ends what stands on it."""
    found: list[Finding] = []
    try:
        for finding in _steps(invocation):
            found.append(finding)  # noqa: PERF402 - what was found before an error counts
    except PikaserverError as error:
        found.append(problem("server", str(error), "Mend this first; then ask the doctor again."))
    return found


def _steps(invocation: Invocation) -> Iterator[Finding]:
    settings = invocation.settings()
    yield fine("settings", "all are known and well-formed")
    if not settings.host.plugins.enabled:
        directory = settings.host.data.directory
        yield problem(
            "data folder", f"nothing is set up in {directory}", "'pikaserver up' does it."
        )
        return
    yield from doctor_host.openssl()
    yield from doctor_host.files(settings)
    yield from doctor_host.disk_space(settings)
    yield from doctor_host.listeners(settings)
    branches = _plugins(settings)
    yield fine("plugins", f"{', '.join(settings.host.plugins.enabled)} load")
    sound = True
    for finding in doctor_database.database(settings, branches):
        sound = sound and finding.state is not State.PROBLEM
        yield finding
    # Opening a server upgrades the schema; a doctor does not.
    if sound:
        with open_server(settings, os.environ) as server:
            yield from doctor_server.server(server)


def _plugins(settings: Settings) -> list[Migrations]:
    plugins = plugin_manager.load(settings.host.plugins.enabled)
    settings.of_plugins(plugins.settings_models(), [plugin.name for plugin in installed()])
    return [branch for _, branch in plugins.migrations()]
