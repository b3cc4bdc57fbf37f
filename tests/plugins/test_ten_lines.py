"""A stranger's plugin of ten lines, installed from another folder, before the running server."""

import http.client
import os

import pytest

from pikaserver.testing.est_clients import CurlEst, make_wish
from pikaserver.testing.servers import running_server

PLUGIN = """\
from pikaserver.api import errors, hooks, web
class Plant:
    def on_get(self, request, response): response.text = "hello from the plant"
    def check(self, request, template):
        if request.door == "est" and "plant" not in str(request.csr.subject):
            raise errors.RequestRejected("the common name needs the word plant")
@hooks.hookimpl
def register_services(): return [web.Service("p", web.Security.PLAIN, [web.Route("/p", Plant())])]
@hooks.hookimpl
def register_validators(): return [Plant()]
"""


@pytest.fixture
def server(plugin_shelf, tmp_path, monkeypatch):
    """Install the plugin where only Python's path leads, and name it at the first start."""
    plugin_shelf.install("plant", PLUGIN)
    path = os.pathsep.join([str(tmp_path / "shelf"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path.rstrip(os.pathsep))
    with running_server(tmp_path, "--plugins", "crl,est,plant") as started:
        yield started


def test_it_adds_a_route_and_a_rule(server, tmp_path):
    """The host is not touched; the refusal is told in the words of the door."""
    assert 10 == len(PLUGIN.splitlines())
    assert b"hello from the plant" == server.get("/p")
    (tmp_path / "root.pem").write_bytes(server.get("/ca/root.pem"))
    client = CurlEst(f"https://127.0.0.1:{server.https_port}", tmp_path / "root.pem", tmp_path)
    code = server.code()

    refused = client.enroll(make_wish(tmp_path, "pump-1"), code)
    issued = client.enroll(make_wish(tmp_path, "plant-pump-1"), code)

    assert http.client.BAD_REQUEST == refused.status
    assert "the common name needs the word plant" in refused.text
    assert http.client.OK == issued.status
    assert "plant" in server.command("plugins", "list")
