"""The recipes of the documents for web proxies, played with nginx and HAProxy themselves."""

import contextlib
import socket
import ssl
import subprocess
import threading

import pytest

from pikaserver.testing.servers import free_port
from tests.publish.plant import SECONDS, seconds_until, site
from tests.publish.programs import listens, program, started
from tests.publish.recipes import CHAIN, STATE, arguments, configuration, places_of

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
    with site(tmp_path_factory.mktemp("plant")) as found:
        yield found


@pytest.fixture
def places(house, tmp_path):
    return places_of(house, tmp_path)


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
