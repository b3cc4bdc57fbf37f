"""Visits before a server in memory, and before a whole one."""

import json
import os

import pytest
from pikaserver_visits.plugin import VisitSettings, register_services
from pikaserver_visits.storage import metadata

from pikaserver.cli.main import run
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.servers import make_server


@pytest.fixture
def client():
    """Give a client of the service, with settings of our own."""
    server = FakeServer([VisitSettings(greeting="Good day", most_visits=2)])
    with server.database.transaction() as connection:
        metadata.create_all(connection)
    return ServiceClient(*register_services(server))


def test_visits_are_counted(client):
    """Each caller has a number of its own."""
    client.send("POST", "/visits/ada")

    answer = client.send("POST", "/visits/ada")

    assert {"text": "Good day ada", "visits": 2} == answer.json
    assert 1 == client.send("POST", "/visits/bob").json["visits"]


def test_too_many_visits_are_refused(client):
    """`Conflict` becomes 409 with problem+json, without a line of ours."""
    for _ in range(2):
        client.send("POST", "/visits/ada")

    answer = client.send("POST", "/visits/ada")

    assert 409 == answer.status_code
    assert "application/problem+json" == answer.headers["content-type"]
    assert "'ada' came by 2 times already" in answer.text


def test_a_whole_server_makes_our_tables(tmp_path):
    """Found by its entry point, migrated at start, its settings checked."""
    environment = {
        "PIKASERVER__PLUGINS__ENABLED": '["crl", "est", "visits"]',
        "PIKASERVER__PLUGINS__VISITS__GREETING": "Hi",
    }

    with make_server(tmp_path, environment=environment) as server:
        client = ServiceClient(*register_services(server))
        answer = client.send("POST", "/visits/ada")

    assert {"text": "Hi ada", "visits": 1} == answer.json


def test_the_command_lists_and_forgets(tmp_path, capsys, monkeypatch):
    """In a process of its own, usually; here in this one."""
    monkeypatch.setenv("PIKASERVER__PLUGINS__ENABLED", '["crl", "est", "visits"]')
    with make_server(tmp_path, environment=os.environ) as server:
        ServiceClient(*register_services(server)).send("POST", "/visits/ada")

    assert 0 == run(["visits", "list", "-o", "json", "--data", str(tmp_path)])
    assert [{"name": "ada", "visits": 1}] == json.loads(capsys.readouterr().out)

    assert 0 == run(["visits", "forget", "ada", "--data", str(tmp_path)])
    assert 0 == run(["visits", "list", "-o", "json", "--data", str(tmp_path)])
    assert [] == json.loads(capsys.readouterr().out)
