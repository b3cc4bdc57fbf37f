"""A web server from which CRLs are fetched, and the command that does it."""

import sys
from http.server import BaseHTTPRequestHandler

PROGRAM = (sys.executable, "-m", "pikaserver.cli", "crl", "follow")


class Shop(BaseHTTPRequestHandler):
    """Serves what lies in ``server.files``; a status may stand there instead of octets."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer with validators, and 304 to who has it."""
        server = self.server
        found = server.files.get(self.path, 404)
        server.asked.append((self.path, self.headers["If-None-Match"]))
        if callable(found):
            found(self)
            return
        status, octets, headers = found if isinstance(found, tuple) else (found, b"", {})
        if isinstance(found, bytes):
            tag = f'"{hash(found)}"'
            status = 304 if self.headers["If-None-Match"] == tag else 200
            octets, headers = (b"" if status == 304 else found), {"ETag": tag}
        self.send_response(status)
        for name, value in {"Content-Length": str(len(octets)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, *_):
        """Stay silent."""
