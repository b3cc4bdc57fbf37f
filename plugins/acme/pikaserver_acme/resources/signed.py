"""What is asked by POST alone, however it is only read (RFC 8555 section 6.3)."""

from http import HTTPStatus

import falcon

from pikaserver_acme.problems import AcmeError


class SignedOnly:
    """A resource that says so to whoever comes with GET."""

    def on_get(self, request: falcon.Request, response: falcon.Response, **_: object) -> None:
        """Refuse.

        Raises:
            AcmeError: malformed, with status 405, as the RFC wants it.
        """
        raise AcmeError(
            "malformed",
            "this is asked by a signed POST, with an empty payload where it is only read",
            status=HTTPStatus.METHOD_NOT_ALLOWED,
            headers={"Allow": "POST"},
        )
