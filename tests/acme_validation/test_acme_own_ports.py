"""What a server knows of its own ports."""

from pikaserver.serving import RunningServer
from pikaserver.testing.servers import free_port, make_server


def test_a_server_knows_the_ports_that_it_listens_on(tmp_path):
    """Those of its settings before it starts, those that the system chose afterwards."""
    agents = free_port()
    environment = {
        "PIKASERVER__LISTENERS__PUBLIC__BIND": "127.0.0.1:0",
        "PIKASERVER__LISTENERS__PUBLIC__SERVE": '["health"]',
        "PIKASERVER__LISTENERS__DEVICES__BIND": "127.0.0.1:0",
        "PIKASERVER__LISTENERS__DEVICES__SERVE": '["health"]',
        "PIKASERVER__LISTENERS__LOCAL__BIND": f"unix:{tmp_path}/socket",
        "PIKASERVER__LISTENERS__LOCAL__SERVE": '["health"]',
        "PIKASERVER__PLUGINS__ENABLED": '["crl", "agents"]',
        "PIKASERVER__PLUGINS__AGENTS__BIND": f"127.0.0.1:{agents}",
    }
    with make_server(tmp_path / "data", environment=environment) as server:
        seen = server.for_plugins
        assert frozenset() == seen.own_ports()
        running = RunningServer(server)
        running.start()
        try:
            names = ("public", "devices")
            ports = {int(running.addresses[one].rpartition(":")[2]) for one in names}
            assert {*ports, agents} == seen.own_ports()
        finally:
            running.stop()


def test_ports_of_the_settings_are_known_at_once(tmp_path):
    """Before a door is open: what is validated then does not go there either."""
    environment = {
        "PIKASERVER__LISTENERS__PUBLIC__BIND": "127.0.0.1:18080",
        "PIKASERVER__LISTENERS__PUBLIC__SERVE": '["health"]',
        "PIKASERVER__LISTENERS__DEVICES__BIND": "127.0.0.1:18443",
        "PIKASERVER__LISTENERS__DEVICES__SERVE": '["health"]',
    }
    with make_server(tmp_path / "data", environment=environment) as server:
        assert {18080, 18443} == server.for_plugins.own_ports()
