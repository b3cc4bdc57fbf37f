"""A client of services without a socket, which says out of band who it is, as listeners do."""

import base64
from collections.abc import Mapping

from falcon.testing import Result, TestClient

from pikaserver.api.web import CONNECTION_KEY, ClientConnection, Service, TlsSession
from pikaserver.testing.clock import CountedEntropy
from pikaserver.web.application import build_application


class ServiceClient:
    """Sends requests to services as if over a listener; ``tls`` says which kind of line."""

    def __init__(self, *services: Service, tls: bool = True, address: str = "192.0.2.1") -> None:
        self._client = TestClient(build_application(services, entropy=CountedEntropy()))
        self._tls = tls
        self._address = address
        self.bindings: dict[str, bytes] = {}
        """The channel bindings of the TLS session (RFC 9266, RFC 5929)."""

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Result:
        """Return the answer to GET."""
        return self.send("GET", path, headers=headers)

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        certificate: bytes | None = None,
        user: tuple[str, str] | None = None,
    ) -> Result:
        """Return the answer; ``user`` is sent as HTTP Basic, ``certificate`` shown in TLS."""
        sent = dict(headers or {})
        if user is not None:
            credentials = base64.b64encode(":".join(user).encode()).decode()
            sent["Authorization"] = f"Basic {credentials}"
        cipher = "TLS_AES_128_GCM_SHA256"
        session = TlsSession("TLSv1.3", cipher, certificate, dict(self.bindings))
        tls = session if self._tls else None
        connection = ClientConnection("devices", self._address, tls)
        return self._client.simulate_request(
            method, path, body=body, headers=sent, extras={CONNECTION_KEY: connection}
        )
