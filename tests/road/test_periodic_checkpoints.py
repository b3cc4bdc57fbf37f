"""Checkpoints that the server signs by itself: as often as asked for, and never silently none."""

from datetime import timedelta

import pytest

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.operations import HealthState
from pikaserver.periodic_checkpoints import PeriodicCheckpoints
from pikaserver.storage import audit
from pikaserver.testing.servers import make_server

EVERY_HOUR = {"PIKASERVER__AUDIT__CHECKPOINT_HOURS": "1"}


@pytest.fixture(scope="module")
def house(tmp_path_factory, clock):
    folder = tmp_path_factory.mktemp("hourly") / "data"
    with make_server(folder, clock=clock, environment=EVERY_HOUR) as made:
        yield made


def states(periodic):
    return [check.check().state for check in periodic.health_checks()]


def test_each_run_leaves_a_checkpoint_that_the_trail_holds(house, clock):
    """One for each period; the trail names the server as the actor."""
    periodic = PeriodicCheckpoints(house)
    (job,) = periodic.jobs()

    job.run()
    clock.advance(job.every)
    job.run()

    files = sorted((house.host.data.directory / "checkpoints").iterdir())
    checked = [house.checkpoints().check(file.read_bytes()) for file in files]
    assert timedelta(hours=1) == job.every
    assert [None, None] == [one.problem for one in checked]
    assert job.every == checked[1].checkpoint.at - checked[0].checkpoint.at
    assert [HealthState.OK] == states(periodic)
    with house.database.reading() as connection:
        lines = audit.read(connection, audit.TrailQuery(event="audit.checkpoint"))
        assert ["server:audit"] * 2 == [line.actor for line in lines]


def test_what_could_not_be_written_is_told(house):
    """By the health check, until the next one works."""
    periodic = PeriodicCheckpoints(house)
    folder = house.host.data.directory / "checkpoints"
    kept = folder.rename(folder.with_name("kept"))
    folder.write_text("in the way")

    with pytest.raises(OSError, match="exists"):
        periodic.run()
    assert [HealthState.DEGRADED] == states(periodic)

    folder.unlink()
    kept.rename(folder)
    periodic.run()
    assert [HealthState.OK] == states(periodic)


def test_nothing_is_signed_unasked(server):
    """The default."""
    periodic = PeriodicCheckpoints(server)

    assert ([], []) == (periodic.jobs(), periodic.health_checks())


@pytest.mark.usefixtures("clock")
def test_an_authority_that_is_not_there_stops_the_start(tmp_path):
    """The setting is named."""
    wrong = {**EVERY_HOUR, "PIKASERVER__AUDIT__CHECKPOINT_AUTHORITY": "isuing"}
    with (
        make_server(tmp_path / "data", environment=wrong) as made,
        pytest.raises(ConfigurationError, match=r"checkpoint-authority.*'isuing'"),
    ):
        PeriodicCheckpoints(made)
