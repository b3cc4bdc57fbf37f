"""A local HTTPS server, its certificate from a throw-away authority, and a proxy before it."""

import base64
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pikaserver.clock import system_clock


def self_signed(folder):
    """Write a key with its certificate for 127.0.0.1, and return the file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), system_clock()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
    certificate = (
        x509.CertificateBuilder(name, name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "stand-in.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return file


class Quiet(BaseHTTPRequestHandler):
    """Logs nothing."""

    timeout = 60

    def log_message(self, *_):
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Forgets about clients that hang up."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing: some tests cut the line."""


@contextmanager
def serving(handler, file=None):
    """Serve on a free port; yield the server."""
    server = Server(("127.0.0.1", 0), handler)
    if file is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Tunnel(Quiet):
    """An HTTP proxy that wants a password."""

    def do_CONNECT(self):
        """Open a tunnel for who knows the password."""
        words = (self.headers.get("Proxy-Authorization") or "").removeprefix("Basic ")
        if base64.b64decode(words) != b"outside:let me out":
            self.send_error(407)
            return
        host, _, port = self.path.partition(":")
        self.server.tunnels.append(self.path)
        with socket.create_connection((host, int(port))) as target:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pump, args=(target, self.connection))
            back.start()
            _pump(self.connection, target)
            back.join()


def _pump(source, target):
    with suppress(OSError):
        while octets := source.recv(65536):
            target.sendall(octets)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
