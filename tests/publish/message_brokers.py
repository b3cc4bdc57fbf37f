"""Mosquitto as a broker, and what those get that subscribe there."""

import contextlib
import getpass
import subprocess

from pikaserver.testing.servers import free_port
from tests.publish.programs import listens, program, started

MOSQUITTO = """
user {user}
per_listener_settings false
persistence false
log_dest stderr
pid_file {folder}/mosquitto.pid
acl_file {folder}/acl
listener {port} 127.0.0.1
cafile {ca}
certfile {certificate}
keyfile {key}
require_certificate true
use_identity_as_username true
"""


ACL = """
user publisher
topic write pki/#
user reader
topic read pki/#
topic read plant/#
pattern readwrite plant/%u
"""


@contextlib.contextmanager
def broker(folder, identity, ca, *extra, port=None):
    """Give the port of a mosquitto; ``publisher`` may write ``pki/#``, ``reader`` may read it.

    ``identity`` are the paths of its certificate and key, ``ca`` is what those of its clients
    are checked against.
    """
    mosquitto, port = program("mosquitto", "mosquitto"), port or free_port()
    (folder / "acl").write_text(ACL)
    values = {"folder": folder, "ca": ca, "certificate": identity[0], "key": identity[1]}
    config = folder / "mosquitto.conf"
    text = MOSQUITTO.format(port=port, user=getpass.getuser(), **values)
    config.write_text("\n".join([text, *extra, ""]))
    command = [mosquitto, "-c", config]
    with started(command, folder / "mosquitto.log", until=listens(port)):
        yield port


def subscribed(port, pki, topic, count=1, *options):
    """Return the messages that mosquitto_sub gets: retained ones, and others as they come."""
    tool = program("mosquitto_sub", "mosquitto-clients")
    certificate, key = pki.identity("reader")
    line = ["-h", "localhost", "-p", str(port), "--cafile", pki.ca, "--cert", certificate]
    wanted = ["--key", key, "-t", topic, "-C", str(count), "-W", "60", "-F", "%r %t %x", *options]
    done = subprocess.run([tool, *line, *wanted], capture_output=True, text=True, check=True)
    rows = [row.split(" ") for row in done.stdout.splitlines()]
    return [(retained == "1", name, bytes.fromhex(octets)) for retained, name, octets in rows]
