"""Two charons in a network of their own: a gateway, and a client that signs in to it."""

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pikaserver.testing.requirements import missing
from tests.publish.programs import program, started

CHARON = """
charon-systemd {{
  load = {plugins}
  port = {port}
  port_nat_t = {nat_port}
  retransmit_tries = 1
  plugins {{ vici {{ socket = unix://{folder}/vici.sock }} }}
  filelog {{ stdout {{ default = 1 }} }}
}}
"""
CONNECTION = """
connections {{
  plant {{
    version = 2
    childless = {childless}
    remote_addrs = 127.0.0.1
    local_addrs = 127.0.0.1
    remote_port = {remote_port}
    local {{
      auth = pubkey
      certs = {name}.pem
    }}
    remote {{
      auth = pubkey
      {remote}
    }}
  }}
}}
"""
PLUGINS = (
    "random nonce openssl pem pkcs1 pkcs8 x509 revocation constraints pubkey vici"
    " hmac sha2 kdf kernel-netlink socket-default"
)
PORTS = {"gateway": (500, 4500), "client": (1500, 1501)}


@dataclass(frozen=True)
class Charon:
    """One of the two; ``folder`` holds its ``x509crl`` and the like."""

    folder: Path

    def swanctl(self, *words):
        """Run a command of swanctl and return whether it went well, and what it said."""
        tool = program("swanctl", "strongswan-swanctl")
        places = {
            "SWANCTL_DIR": str(self.folder),
            "STRONGSWAN_CONF": str(self.folder / "strongswan.conf"),
        }
        uri = f"unix://{self.folder}/vici.sock"
        done = subprocess.run(
            [tool, *words, "--uri", uri],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **places},
        )
        return done.returncode == 0, done.stdout + done.stderr


def prepared(folder, role, house, name, remote):
    """Write what a charon reads, and return it."""
    own = folder / role
    for part in ("x509", "private", "x509ca", "x509crl"):
        (own / part).mkdir(parents=True)
    port, nat_port = PORTS[role]
    remote_port = PORTS["gateway" if role == "client" else "client"][0]
    (own / "strongswan.conf").write_text(
        CHARON.format(folder=own, port=port, nat_port=nat_port, plugins=PLUGINS)
    )
    childless = "force" if role == "client" else "allow"
    values = {"name": name, "remote": remote, "remote_port": remote_port, "childless": childless}
    (own / "swanctl.conf").write_text(CONNECTION.format(**values))
    shutil.copy(house.folder / f"{name}.pem", own / "x509")
    shutil.copy(house.folder / f"{name}.key", own / "private")
    for authority in ("root", "issuing"):
        path = own / "x509ca" / f"{authority}.pem"
        path.write_bytes(house.server.get(f"/ca/{authority}.pem"))
    return Charon(own)


@contextlib.contextmanager
def running(gateway, client):
    """Run both of them on one loopback that nobody else has."""
    charon = program("charon-systemd", "charon-systemd")
    unshare = program("unshare", "util-linux")
    # With processes of its own, too: all of them end with the first one.
    alone = [unshare, "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]
    script = "ip link set lo up"
    if subprocess.run([*alone, "sh", "-c", script], capture_output=True, check=False).returncode:
        missing("network namespaces", "let this user make some")
    for one in (gateway, client):
        script += f"\nSTRONGSWAN_CONF={one.folder}/strongswan.conf {charon} &"
    log = gateway.folder.parent / "charon.log"

    def ready():
        return gateway.swanctl("--stats")[0] and client.swanctl("--stats")[0]

    with started([*alone, "sh", "-c", f"{script}\nwait"], log, until=ready):
        for one in (gateway, client):
            went, said = one.swanctl("--load-all", "--noprompt")
            assert went, said
        yield
