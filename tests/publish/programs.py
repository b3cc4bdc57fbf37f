"""Programs that play targets, started by their tests and ended by them; web servers among them."""

import contextlib
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

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
