"""revokeCert over HTTP (RFC 8555 section 7.6)."""

import falcon

from pikaserver_acme.office import Office
from pikaserver_acme.resources.signed import SignedOnly


class RevokeCertificate(SignedOnly):
    """``POST revoke-cert``."""

    def __init__(self, office: Office) -> None:
        self._door = office.door
        self._revoking = office.revoking

    def on_post(self, request: falcon.Request, response: falcon.Response, policy: str) -> None:
        """Revoke a certificate; the answer is empty."""
        call = self._door.by_either(request, response, policy)
        if call.account is None:
            self._revoking.by_key(call.key, call.document)
        else:
            self._revoking.by_account(call.policy, call.account, call.document)
        response.status = falcon.HTTP_OK
