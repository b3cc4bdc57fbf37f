"""The recipes of the documents for FreeRADIUS and strongSwan, played with both of them."""

import contextlib
import re
import subprocess

import pytest

from pikaserver.testing.servers import free_port
from tests.publish import strongswan
from tests.publish.plant import seconds_until, site
from tests.publish.programs import program, started
from tests.publish.recipes import STATE, arguments, configuration, places_of


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with site(tmp_path_factory.mktemp("plant")) as found:
        yield found


@pytest.fixture
def places(house, tmp_path):
    return places_of(house, tmp_path)


RADIUSD = """
name = freeradius
prefix = /usr
libdir = /usr/lib/freeradius
logdir = {folder}
run_dir = {folder}
max_request_time = 30
log {{ destination = stdout }}
security {{ reject_delay = 0 }}
client localhost {{
  ipaddr = 127.0.0.1
  secret = testing123
}}
modules {{
  eap {{
    default_eap_type = tls
    tls-config tls-common {{
      certificate_file = {certificate}
      private_key_file = {key}
      {recipe}
    }}
    tls {{ tls = tls-common }}
  }}
}}
server default {{
  listen {{
    type = auth
    ipaddr = 127.0.0.1
    port = {port}
  }}
  authorize {{
    eap
  }}
  authenticate {{
    eap
  }}
}}
"""


SUPPLICANT = """
network={{
  key_mgmt=IEEE8021X
  eap=TLS
  identity="{name}"
  ca_cert="{chain}"
  client_cert="{folder}/{name}.pem"
  private_key="{folder}/{name}.key"
}}
"""


@contextlib.contextmanager
def freeradius(house, folder, authorities):
    """Give the port of a RADIUS server that looks into a folder of CAs and CRLs."""
    port = free_port()
    recipe = configuration("FreeRADIUS", {f"{STATE}/radius": authorities})
    recipe = recipe.replace("\n", "\n      ")
    values = {"certificate": house.folder / "localhost.pem", "key": house.folder / "localhost.key"}
    (folder / "radiusd.conf").write_text(
        RADIUSD.format(folder=folder, port=port, recipe=recipe, **values)
    )
    radiusd, log = program("freeradius", "freeradius"), folder / "radius.log"
    command = [radiusd, "-d", folder, "-D", "/usr/share/freeradius", "-f", "-l", "stdout", "-xx"]

    def ready():
        return "Ready to process" in log.read_text(errors="replace")

    log.unlink(missing_ok=True)
    with started(command, log, until=ready):
        yield port


def authenticates(port, house, folder, name):
    """Tell what eapol_test makes of EAP-TLS with a machine's certificate."""
    tool = program("eapol_test", "eapoltest")
    config = folder / f"{name}.conf"
    values = {"name": name, "chain": house.chain, "folder": house.folder}
    config.write_text(SUPPLICANT.format(**values))
    words = ["-c", config, "-a", "127.0.0.1", "-p", str(port), "-s", "testing123", "-t", "60"]
    done = subprocess.run([tool, *words], capture_output=True, text=True, check=False)
    return done.returncode == 0


def subject_hash(house, name, folder):
    """Return the name under which OpenSSL looks for an authority."""
    path = folder / f"{name}.pem"
    path.write_bytes(house.server.get(f"/ca/{name}.pem"))
    openssl = program("openssl", "openssl")
    words = [openssl, "x509", "-noout", "-subject_hash", "-in", path]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_freeradius_refuses_a_revoked_client_once_it_has_read_the_folder(house, places, tmp_path):
    """At its start; by itself it does so every 300 seconds, which no test waits for."""
    authorities = tmp_path / "radius"
    authorities.mkdir()
    subject_hash(house, "root", authorities)
    names = {"ISSUING.r0": f"{subject_hash(house, 'issuing', authorities)}.r0"}
    subprocess.run([program("openssl", "openssl"), "rehash", authorities], check=True)
    house.identity("revoked-radius")
    with house.following(*arguments("FreeRADIUS", {**places, **names})):
        (crl,) = (authorities / name for name in names.values())
        seconds_until(crl.exists)
        with freeradius(house, tmp_path, authorities) as port:
            assert authenticates(port, house, tmp_path, "revoked-radius")
        before = crl.read_bytes()

        house.revoke(house.folder / "revoked-radius.pem")
        seconds_until(lambda: crl.read_bytes() != before)

    subprocess.run([program("openssl", "openssl"), "rehash", authorities], check=True)
    with freeradius(house, tmp_path, authorities) as port:
        assert not authenticates(port, house, tmp_path, "revoked-radius")
        assert authenticates(port, house, tmp_path, "good")


def test_strongswan_takes_a_crl_by_the_command_of_the_recipe(house, places, tmp_path):
    """A gateway that insists on a CRL lets the client in, and no more once it is revoked."""
    house.identity("revoked-ipsec")
    gateway = strongswan.prepared(tmp_path, "gateway", house, "localhost", "revocation = strict")
    client = strongswan.prepared(tmp_path, "client", house, "revoked-ipsec", "id = %any")
    folder = gateway.folder / "x509crl"
    crl = folder / "issuing.crl"
    (command,) = re.findall(
        "ExecStart=/usr/sbin/swanctl (.+)", configuration("strongSwan", {}, "ini")
    )
    with house.following(*arguments("strongSwan", {**places, STATE: folder})):
        seconds_until(lambda: crl.exists() and (folder / "root.crl").exists())
        with strongswan.running(gateway, client):
            went, said = client.swanctl("--initiate", "--ike", "plant")
            assert went, said
            client.swanctl("--terminate", "--ike", "plant")
            before = crl.read_bytes()

            house.revoke(house.folder / "revoked-ipsec.pem")
            seconds_until(lambda: crl.read_bytes() != before)
            went, said = gateway.swanctl(*command.split())
            assert went, said
            went, said = client.swanctl("--initiate", "--ike", "plant")

    assert not went, said
    assert "AUTHENTICATION_FAILED" in said
