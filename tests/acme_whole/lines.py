"""Our own client over TLS: it asks a server that listens."""

import http.client
import json
import ssl
from urllib.parse import urlsplit

from tests.acme.desk import Desk


class Line:
    """Sends over TLS what a `Desk` signs; asks again when the server is gone."""

    def __init__(self, port):
        self._port = port
        self._context = ssl._create_unverified_context()  # noqa: S323, SLF001 - loopback
        self._open = None

    def send(self, method, path, body=b"", headers=None):
        try:
            self._open = self._open or http.client.HTTPSConnection(
                "localhost", self._port, timeout=60, context=self._context
            )
            self._open.request(method, path, body, headers or {})
            answer = self._open.getresponse()
            return Answer(answer.status, dict(_lower(answer.getheaders())), answer.read())
        except (OSError, http.client.HTTPException):
            if self._open is not None:
                self._open.close()
            self._open = None
            raise

    def close(self):
        """End the connection."""
        if self._open is not None:
            self._open.close()


def _lower(headers):
    return ((name.lower(), value) for name, value in headers)


class Answer:
    """What came back."""

    def __init__(self, status_code, headers, content):
        self.status_code, self.headers, self.content = status_code, headers, content

    @property
    def text(self):
        return self.content.decode()

    @property
    def json(self):
        return json.loads(self.content)


class Refused(Exception):
    """The server answered and will not, at least not now; the text says why."""


class OverTheLine(Desk):
    """A client that finds the server under its real address."""

    origin = ""

    def url(self, path):
        return path if path.startswith("https://") else f"{self.origin}/acme/{self.policy}/{path}"

    def fresh(self):
        return self.web.send("HEAD", f"/acme/{self.policy}/new-nonce").headers["replay-nonce"]

    def send(self, path, envelope, headers=None):
        place = urlsplit(self.url(path)).path
        kind = {"Content-Type": "application/jose+json"}
        answer = self.web.send("POST", place, json.dumps(envelope).encode(), kind)
        if answer.status_code >= http.client.BAD_REQUEST:
            raise Refused(answer.text)
        return answer
