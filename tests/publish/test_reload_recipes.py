"""The recipes of the documents, played with the programs themselves."""

import contextlib
import re
import socket
import ssl
import subprocess
import threading

import pytest

from pikaserver.testing.servers import free_port
from tests.publish import strongswan
from tests.publish.plant import SECONDS, plant, seconds_until
from tests.publish.programs import listens, program, started
from tests.publish.recipes import arguments, configuration

STATE = "/var/lib/pikaserver-crl-follow"
CHAIN = "/etc/pikaserver/chain.pem"

NGINX = """
user root; daemon off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    {recipe}
    location / {{ return 200 "served"; }}
  }}
}}
"""
HAPROXY = """
global
  maxconn 100
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend site
  {recipe}
  http-request return status 200 content-type text/plain string served
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with plant(tmp_path_factory.mktemp("plant")) as found:
        found.identity("localhost", "web")
        found.identity("good")
        yield found


@pytest.fixture
def places(house, tmp_path):
    """What stands on the page, and what is here in its place."""
    return {
        "http://pki.example.org": f"http://127.0.0.1:{house.server.http_port}",
        STATE: tmp_path,
        CHAIN: house.chain,
    }


def get(port, house, name):
    """Return a connection that was served once; None when the client is refused."""
    context = ssl.create_default_context(cafile=house.chain)
    context.load_cert_chain(house.folder / f"{name}.pem", house.folder / f"{name}.key")
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
        try:
            secured = context.wrap_socket(line, server_hostname="localhost")
            stack.enter_context(secured)
            if ask(secured):
                stack.pop_all()
                return secured
        except OSError:
            return None
    return None


def ask(line):
    """Tell whether a request on this connection is served."""
    line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while piece := line.recv(4096):
        answer += piece
        if b"served" in answer or b"400 Bad Request" in answer:
            break
    return b"200 OK" in answer


def is_served(port, house, name):
    line = get(port, house, name)
    if line is not None:
        line.close()
    return line is not None


@contextlib.contextmanager
def always_served(port, house, name):
    """Connect again and again meanwhile; give what became of each attempt."""
    answers, done = [], threading.Event()

    def knock():
        while not done.is_set():
            answers.append(is_served(port, house, name))

    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


@contextlib.contextmanager
def nginx(house, folder, places):
    port, log = free_port(), folder / "nginx.log"
    recipe = configuration("nginx", {CHAIN: places[CHAIN], STATE: folder})
    values = {"certificate": house.folder / "localhost.pem", "key": house.folder / "localhost.key"}
    text = NGINX.format(folder=folder, port=port, recipe=recipe, **values)
    (folder / "nginx.conf").write_text(text)
    command = [program("nginx", "nginx-light"), "-c", folder / "nginx.conf", "-e", "stderr"]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    with started(command, log, until=listens(port)):
        yield port


@contextlib.contextmanager
def haproxy(house, folder, places):
    port, log = free_port(), folder / "haproxy.log"
    both = (house.folder / "localhost.pem").read_text() + (
        house.folder / "localhost.key"
    ).read_text()
    (folder / "site.pem").write_text(both)
    mine = {":443": f"127.0.0.1:{port}", "/etc/haproxy/site.pem": folder / "site.pem"}
    recipe = configuration("HAProxy", {**mine, CHAIN: places[CHAIN], STATE: folder})
    (folder / "haproxy.cfg").write_text(HAPROXY.format(recipe=recipe))
    command = [program("haproxy", "haproxy"), "-f", folder / "haproxy.cfg"]
    subprocess.run([*command, "-c"], check=True, capture_output=True)
    master = [*command, "-W", "-p", folder / "haproxy.pid"]
    with started(master, log, until=listens(port)):
        yield port


FRONTS = {"nginx": (nginx, "/run/nginx.pid"), "HAProxy": (haproxy, "/run/haproxy.pid")}


@pytest.mark.parametrize("title", FRONTS)
def test_a_proxy_refuses_a_revoked_client_and_goes_on_with_the_others(
    house, places, tmp_path, title
):
    """The one within seconds; of the others not a single connection fails meanwhile."""
    revoked, (front, pid) = f"revoked-{title.lower()}", FRONTS[title]
    house.identity(revoked)
    words = arguments(title, {**places, pid: tmp_path / f"{title.lower()}.pid"})
    with house.following(*words):
        seconds_until(lambda: list(tmp_path.glob("*.pem")) and _whole(tmp_path))
        with front(house, tmp_path, places) as port:
            assert is_served(port, house, revoked)
            with always_served(port, house, "good") as answers:
                house.revoke(house.folder / f"{revoked}.pem")
                seconds = seconds_until(lambda: not is_served(port, house, revoked))
                count = len(answers)
                seconds_until(lambda: len(answers) > count + 5)
            assert all(answers)
    assert seconds < SECONDS


def _whole(folder):
    """Tell whether the CRLs of both authorities are there."""
    (file,) = folder.glob("*.pem")
    return 2 == file.read_text().count("BEGIN X509 CRL")


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
