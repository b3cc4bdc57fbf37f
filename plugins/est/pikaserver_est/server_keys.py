"""``serverkeygen``: the server makes the key (RFC 7030 section 4.4)."""

import base64
import hashlib
from dataclasses import replace

import falcon

from pikaserver.api.errors import NotAllowed, RequestRejected
from pikaserver.api.generated_keys import GeneratedKey
from pikaserver.api.issuance import CertificationRequest, Issued, Requester
from pikaserver.api.server import Server
from pikaserver.api.templates import Template
from pikaserver.asn1.algorithms import KEY_TYPES, key_type
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES
from pikaserver_est import messages, storage
from pikaserver_est.answers import answer_pending
from pikaserver_est.asking import read_body, wish
from pikaserver_est.key_delivery import Envelope, envelope_for

PURPOSE = "est.generated-key"

_USUAL = ("ec-p256", "rsa-3072", "ec-p384", "rsa-2048")


class ServerKeyGen:
    """``POST /.well-known/est[/<template>]/serverkeygen``."""

    def __init__(self, server: Server, default_template: str) -> None:
        self._server = server
        self._default = default_template

    def on_post(
        self, request: falcon.Request, response: falcon.Response, label: str | None = None
    ) -> None:
        """Make a key, have it certified for the caller, and hand out both."""
        template = self._server.templates.get(label or self._default)
        requester = self._server.authenticate(request, ("code", "certificate"))
        if not template.est.server_keys:
            raise NotAllowed(f"template {template.name!r} lets nobody have keys made here")
        asked = read_body(request)
        shown = requester.certificate
        envelope = envelope_for(self._server, asked, shown, template.authority)
        name = _wish_name(requester, template, asked)
        waiting = self._waiting(name)
        key = waiting or self._server.key_generator.generate(_key_type(template, asked), asked)
        if template.approval and waiting is None:
            # Kept before its request waits: one that is approved must not have lost its key.
            self._keep(name, key)
        try:
            asking = wish(request, key.csr, requester, template.name)
            outcome = self._server.enroll(replace(asking, answer=key.answer))
        except RequestRejected:
            self._forget(name)
            raise
        if isinstance(outcome, Issued):
            self._hand_out(request, response, outcome, key, envelope)
            self._forget(name)
        else:
            answer_pending(response, outcome)

    def _hand_out(
        self,
        request: falcon.Request,
        response: falcon.Response,
        issued: Issued,
        key: GeneratedKey,
        envelope: Envelope | None,
    ) -> None:
        part = messages.PRIVATE_KEY_TYPE, key.pkcs8
        if envelope is not None:
            part = messages.ENVELOPED_KEY_TYPE, envelope(key.pkcs8)
        certificate = messages.write_certificates(issued.certificate)
        boundary = base64.b16encode(self._server.entropy(16)).decode()
        response.content_type = f"multipart/mixed; boundary={boundary}"
        response.data = messages.write_parts(
            [part, (messages.CERTIFICATES_TYPE, certificate)], boundary, request.user_agent or ""
        )
        response.set_header("Cache-Control", "no-store")

    def _waiting(self, name: str) -> GeneratedKey | None:
        with self._server.database.reading() as connection:
            found = storage.waiting_key(connection, name)
        if found is None:
            return None
        return GeneratedKey(self._server.secrets.open(PURPOSE, found.sealed), read_csr(found.csr))

    def _keep(self, name: str, key: GeneratedKey) -> None:
        sealed = self._server.secrets.seal(PURPOSE, key.pkcs8)
        with self._server.database.transaction() as connection:
            waiting = storage.WaitingKey(sealed, key.csr.der)
            storage.keep_waiting(connection, name, waiting, self._server.clock())

    def _forget(self, name: str) -> None:
        """Forget a key that is handed out, or that nobody will ever have."""
        if self._waiting(name) is None:
            return
        with self._server.database.transaction() as connection:
            storage.forget_waiting(connection, name)


def _wish_name(requester: Requester, template: Template, asked: CertificationRequest) -> str:
    """Return what tells this wish from any other: who asked for what, under which template."""
    digest = hashlib.sha256()
    for part in (requester.name.encode(), template.name.encode(), asked.tbs):
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.hexdigest()


def _key_type(template: Template, asked: CertificationRequest) -> str:
    """Return the kind of key: the one in the request if the template takes it, else a usual one.

    Raises:
        RequestRejected: the template takes no kind that is made here.
    """
    own = key_type(asked.public_key)
    allowed = [
        name for name in (own, *_USUAL, *KEY_TYPES, *KEM_KEY_TYPES) if name in template.key_types
    ]
    if not allowed:
        raise RequestRejected(f"template {template.name!r} takes no kind of key that is made here")
    return allowed[0]
