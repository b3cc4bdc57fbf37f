"""/livez, /readyz and /metrics."""

import threading
import time

import pytest
from falcon.testing import TestClient

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.operations import Health, HealthCheck, HealthState, Metric, Sample
from pikaserver.web.application import build_application
from pikaserver.web.health import HealthBoard, health_service
from pikaserver.web.metrics import listener_metrics


def browse(*checks, metrics=()):
    """Return a client of a health service."""
    return TestClient(build_application([health_service(checks, metrics)], entropy=bytes))


def check(name, state, detail="as it should be"):
    """Return a check that always finds the same."""
    return HealthCheck(name, lambda: Health(state, detail))


def test_a_living_process_says_so():
    """Whatever its parts say."""
    answer = browse(check("database", HealthState.FAILING)).simulate_get("/livez")

    assert (200, {"state": "ok"}) == (answer.status_code, answer.json)


@pytest.mark.parametrize(
    ("states", "status", "worst"),
    [
        ([], 200, "ok"),
        (["ok", "ok"], 200, "ok"),
        (["degraded", "ok"], 200, "degraded"),
        (["failing", "degraded"], 503, "failing"),
    ],
)
def test_readiness_is_the_worst_of_its_parts(states, status, worst):
    """Only a failing part makes the node not ready."""
    checks = [check(f"part-{n}", HealthState(state)) for n, state in enumerate(states)]

    answer = browse(*checks).simulate_get("/readyz")

    assert (status, worst) == (answer.status_code, answer.json["state"])
    assert answer.json["parts"] == {
        f"part-{n}": {"state": state, "detail": "as it should be"} for n, state in enumerate(states)
    }


def test_a_check_that_raises_is_failing_and_shows_nothing(caplog):
    """A plugin's exception belongs into the log."""

    def broken():
        raise RuntimeError("secret-4711")

    answer = browse(HealthCheck("broken", broken)).simulate_get("/readyz")

    assert 503 == answer.status_code
    assert "secret-4711" not in answer.text
    assert "secret-4711" in caplog.text


def test_a_check_that_hangs_does_not_hang_the_page():
    """It is failing until it is back, and is not asked twice in the meantime."""
    gate = threading.Event()
    back = threading.Event()
    asked = []

    def slow():
        asked.append(1)
        gate.wait(60)
        back.set()
        return Health(HealthState.OK, "back")

    board = HealthBoard([HealthCheck("slow", slow)], patience=0.05, memory=0)

    first, second = board.read()["slow"], board.read()["slow"]
    gate.set()
    assert back.wait(60)

    assert [HealthState.FAILING] * 2 == [first.state, second.state]
    assert [1] == asked


def test_answers_are_remembered_for_a_moment():
    """A flood of questions is not a flood of checks."""
    asked = []

    def count():
        asked.append(1)
        return Health(HealthState.OK, "counted")

    board = HealthBoard([HealthCheck("count", count)], memory=60)
    for _ in range(10):
        board.read()

    assert [1] == asked


def test_a_failing_part_is_asked_again_soon():
    """Whoever waits for a start hears of its end at once, not when the memory fades."""
    states = [HealthState.FAILING, HealthState.OK]
    board = HealthBoard([HealthCheck("late", lambda: Health(states.pop(0), ""))], memory=60)

    seen = set()
    until = time.monotonic() + 60
    while HealthState.OK not in seen and time.monotonic() < until:
        seen.add(board.read()["late"].state)

    assert {HealthState.FAILING, HealthState.OK} == seen


def test_metrics_are_written_as_prometheus_reads_them():
    """Help, type, labels escaped; a metric that fails hides no other."""

    def broken():
        raise RuntimeError

    metrics = [
        Metric("pikaserver_a_total", "Counts\nA", "counter", lambda: [Sample(3)]),
        Metric("pikaserver_broken", "Broken", "gauge", broken),
        Metric("pikaserver_b", "B", "gauge", lambda: [Sample(0.5, (("x", 'a"b\\c\nd'),))]),
    ]

    answer = browse(metrics=metrics).simulate_get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.text == (
        "# HELP pikaserver_a_total Counts\\nA\n"
        "# TYPE pikaserver_a_total counter\n"
        "pikaserver_a_total 3\n"
        "# HELP pikaserver_b B\n"
        "# TYPE pikaserver_b gauge\n"
        'pikaserver_b{x="a\\"b\\\\c\\nd"} 0.5\n'
    )


@pytest.mark.parametrize(
    "metrics",
    [
        [Metric("requests", "R", "counter", list)],
        [Metric("pikaserver_Requests", "R", "counter", list)],
        [Metric("pikaserver_r", "R", "histogram", list)],
        [Metric("pikaserver_r", "R", "gauge", list), Metric("pikaserver_r", "R", "gauge", list)],
    ],
)
def test_a_metric_that_is_none_stops_the_start(metrics):
    """Names and kinds are checked once."""
    with pytest.raises(ConfigurationError, match="metric"):
        browse(metrics=metrics)


def test_a_listener_counts_its_connections_and_feels_well(house):
    """By its name, for the metrics page and for readiness."""
    running = house.start()
    with running.connect() as connection:
        connection.sendall(b"GET /door HTTP/1.1\r\nHost: a\r\n\r\n")
        assert running.door.entered.wait(60)

        text = browse(metrics=listener_metrics([running.listener])).simulate_get("/metrics").text

    assert 'pikaserver_web_connections{listener="test"} 1\n' in text
    assert 'pikaserver_web_accepted_total{listener="test"} 1\n' in text
    [check] = running.listener.health_checks()
    assert ("listener-test", HealthState.OK) == (check.name, check.check().state)
