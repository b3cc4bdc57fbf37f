"""The newest of several certificates that follow one another (RFC 8739 section 3.3)."""

from email.utils import format_datetime

import falcon

from pikaserver.api.errors import NotFound
from pikaserver_acme.office import Office
from pikaserver_acme.problems import AcmeError
from pikaserver_acme.resources.orders import write_chain


class StarCertificate:
    """``GET`` and ``POST star/<token>``."""

    def __init__(self, office: Office) -> None:
        self._door = office.door
        self._successors = office.successors
        self._certificates = office.server.certificates
        self._chains = office.chains

    def on_get(
        self, request: falcon.Request, response: falcon.Response, policy: str, token: str
    ) -> None:
        """Answer anybody, where the order asked for that."""
        self._door.open_policy(policy)
        if not self._successors.by_token(token)[1].allow_get:
            raise AcmeError("unauthorized", "this certificate is for its account only")
        self._write(response, token)

    def on_post(
        self, request: falcon.Request, response: falcon.Response, policy: str, token: str
    ) -> None:
        """Answer the account that ordered it."""
        call = self._door.by_account(request, response, policy)
        call.check_empty()
        if self._successors.by_token(token)[0].account_id != call.holder.id:
            raise AcmeError("unauthorized", "this certificate is another account's")
        self._write(response, token)

    def _write(self, response: falcon.Response, token: str) -> None:
        order, renewal = self._successors.by_token(token)
        self._successors.check_current(renewal)
        if order.certificate_id is None:
            raise NotFound("the order has no certificate yet")
        record = self._certificates.get(order.certificate_id)
        write_chain(response, self._chains.usual(record))
        ends = format_datetime(record.not_after, usegmt=True)
        response.set_header("Cert-Not-Before", format_datetime(record.not_before, usegmt=True))
        response.set_header("Cert-Not-After", ends)
        response.set_header("Expires", ends)
