"""Programs that play targets, started on ports of the loopback and ended by their tests."""

import base64
import contextlib
import getpass
import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import boto3

from pikaserver.testing.requirements import require_program
from pikaserver.testing.servers import free_port

START_SECONDS = 60
SYSTEM = (Path("/usr/sbin"), Path("/usr/lib/strongswan"), Path("/usr/libexec/strongswan"))


def program(name, package):
    """Return the path of a program that Debian may keep off the search path."""
    return require_program(name, package=package, also_in=SYSTEM)


@contextlib.contextmanager
def started(command, log, *, until, **options):
    """Give a process once ``until`` is true, and end it."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command], stdout=output, stderr=output, **options
        )
    try:
        wait_for(until, lambda: process.poll() is None, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(until, alive=lambda: True, log=None, seconds=START_SECONDS):
    """Return when something is true; raise with the log when it does not come."""
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline or not alive():
            raise TimeoutError(log.read_text(errors="replace")[-3000:] if log else "not in time")
        time.sleep(0.02)


def listens(port):
    """Return what tells whether somebody listens on a port."""

    def look():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    return look


NGINX = """
user root; daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; client_max_body_size 0;
  server {{
    listen 127.0.0.1:{port} ssl; root {folder}/www;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    ssl_client_certificate {ca}; ssl_verify_client optional;
    location /certificate/ {{
      if ($ssl_client_verify != SUCCESS) {{ return 403; }}
      dav_methods PUT; create_full_put_path on;
    }}
    location /basic/ {{
      auth_basic pki; auth_basic_user_file {folder}/users;
      dav_methods PUT; create_full_put_path on;
    }}
    location /bearer/ {{
      if ($http_authorization != "Bearer sesame") {{ return 401; }}
      dav_methods PUT; create_full_put_path on;
    }}
  }}
}}
"""


@contextlib.contextmanager
def dav_server(folder, pki):
    """Give the URL of an nginx that takes files by PUT; what it has is in ``www``."""
    nginx, port = program("nginx", "nginx-light"), free_port()
    certificate, key = pki.identity("localhost")
    (folder / "users").write_text("ca:{PLAIN}sesame\n")
    (folder / "www").mkdir()
    values = {"certificate": certificate, "key": key, "ca": pki.ca, "folder": folder}
    (folder / "nginx.conf").write_text(NGINX.format(port=port, **values))
    command = [nginx, "-c", folder / "nginx.conf", "-e", "stderr"]
    with started(command, folder / "nginx.log", until=listens(port)):
        yield f"https://localhost:{port}"


class Moody(BaseHTTPRequestHandler):
    """Answers each PUT as the server's ``mood`` says."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        """Read what comes, and do as we like."""
        server = self.server
        server.requests.append(self.path)
        if server.mood == "refuse-early":
            self.answer(413)
            return
        octets = self.rfile.read(int(self.headers["Content-Length"]))
        match server.mood:
            case int() as status:
                self.answer(status)
            case "hang-up":
                self.close_connection = True
            case "silent":
                server.silence.wait(30)
            case "trickle":
                self.trickle()
            case "nonsense":
                self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
                self.close_connection = True
            case _:
                server.files[self.path] = octets
                self.answer(201)

    def trickle(self):
        """Say one octet at a time, for ever."""
        with contextlib.suppress(OSError):
            for octet in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000:
                if self.server.silence.wait(0.05):
                    return
                self.wfile.write(bytes([octet]))
                self.wfile.flush()

    def answer(self, status):
        """Answer with a status and a line that says it."""
        body = b"mood %d\n" % status
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Stay silent."""


@contextlib.contextmanager
def moody_server():
    """Give a server with ``mood``, ``requests``, ``files`` and ``url``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    server.daemon_threads = True
    server.mood, server.requests, server.files = None, [], {}
    server.silence = threading.Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.silence.set()
        server.shutdown()
        server.server_close()
        thread.join()


SETUP = 4
"""Calls that moto lets everybody make, before it begins to check signatures and rights."""


@contextlib.contextmanager
def s3_server(folder):
    """Give moto as a server of S3, with a bucket ``pki`` and a user's keys.

    It verifies each signature with Amazon's own code, and honours If-Match and If-None-Match.
    """
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(SETUP)}
    log = folder / "moto.log"
    with started(command, log, until=listens(port), env=environment):
        yield S3(f"http://127.0.0.1:{port}")


class S3:
    """Where it is, and how a client of Amazon's sees it."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        iam = self._client("iam", "setup", "setup")
        iam.create_user(UserName="pki")
        allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        iam.put_user_policy(UserName="pki", PolicyName="pki", PolicyDocument=policy)
        key = iam.create_access_key(UserName="pki")["AccessKey"]
        self._client("s3", "setup", "setup").create_bucket(Bucket="pki")
        self.access_key, self.secret_key = key["AccessKeyId"], key["SecretAccessKey"]
        self.client = self._client("s3", self.access_key, self.secret_key)

    def get(self, key):
        """Return an object with its metadata."""
        return self.client.get_object(Bucket="pki", Key=key)

    def _client(self, service, access_key, secret_key):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
        )


SLAPD = """
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCACertificateFile {ca}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSVerifyClient try
sockbuf_max_incoming_auth 67108864
authz-regexp "cn=publisher" "cn=admin,dc=example,dc=com"
authz-regexp "gidNumber=.*uidNumber={uid},cn=peercred,cn=external,cn=auth"
  "cn=admin,dc=example,dc=com"
database mdb
suffix "dc=example,dc=com"
directory {folder}/db
rootdn "cn=admin,dc=example,dc=com"
rootpw sesame
access to dn.subtree="cn=forbidden,ou=pki,dc=example,dc=com" by * read
access to * by dn.exact="cn=writer,dc=example,dc=com" write by * read
"""
ENTRIES = """
dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=pki,dc=example,dc=com
objectClass: organizationalUnit
ou: pki

dn: cn=writer,dc=example,dc=com
objectClass: person
cn: writer
sn: writer
userPassword: sesame
"""


class Directory:
    """A slapd: ``ldap``, ``ldaps`` and ``ldapi`` are its URLs."""

    def __init__(self, folder, ports):
        self.folder = folder
        self.ldap, self.ldaps = (
            f"{scheme}://localhost:{port}"
            for scheme, port in zip(("ldap", "ldaps"), ports, strict=True)
        )
        self.ldapi = f"ldapi://{quote(str(folder / 'slapd.sock'), safe='')}"

    def search(self, entry, attribute):
        """Return the values of an attribute as ldapsearch, or None where there is no entry."""
        ldapsearch = program("ldapsearch", "ldap-utils")
        url = ["-H", self.ldapi, "-LLL", "-x", "-o", "ldif-wrap=no"]
        query = ["-s", "base", "-b", entry, "(objectClass=*)", attribute]
        done = subprocess.run(
            [ldapsearch, *url, *query], capture_output=True, text=True, check=False
        )
        if done.returncode == 32:
            return None
        assert 0 == done.returncode, done.stderr
        rows = [line.partition(":: ")[2] for line in done.stdout.splitlines() if ":: " in line]
        return [base64.b64decode(row) for row in rows]


@contextlib.contextmanager
def directory(folder, pki):
    """Give a slapd with an empty ``ou=pki,dc=example,dc=com``; ``cn=writer`` may write below."""
    slapd, ports = program("slapd", "slapd"), (free_port(), free_port())
    certificate, key = pki.identity("ldap")
    (folder / "db").mkdir()
    values = {"folder": folder, "ca": pki.ca, "certificate": certificate, "key": key}
    config = folder / "slapd.conf"
    config.write_text(SLAPD.format(uid=os.getuid(), **values))
    (folder / "entries.ldif").write_text(ENTRIES)
    slapadd = program("slapadd", "slapd")
    load = [slapadd, "-f", config, "-l", folder / "entries.ldif"]
    subprocess.run(load, check=True, capture_output=True)
    found = Directory(folder, ports)
    listeners = f"ldap://127.0.0.1:{ports[0]} ldaps://127.0.0.1:{ports[1]} {found.ldapi}"
    command = [slapd, "-d", "0", "-f", config, "-h", listeners]
    with started(command, folder / "slapd.log", until=listens(ports[1])):
        yield found


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
