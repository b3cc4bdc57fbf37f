"""The directory, nonces, and renewal information: what may be asked without a signature.

The first two may be asked with one, too (RFC 8555 section 6.3).
"""

import falcon

from pikaserver.api.renewal import renewal_info
from pikaserver_acme import messages
from pikaserver_acme.office import Office
from pikaserver_acme.places import Places
from pikaserver_acme.records import Policy


class Directory:
    """``GET directory`` (RFC 8555 section 7.1.1)."""

    def __init__(self, office: Office) -> None:
        self._door = office.door
        self._asking = office.asking

    def on_get(self, request: falcon.Request, response: falcon.Response, policy: str) -> None:
        """Answer where everything is."""
        found = self._door.open_policy(policy)
        places = self._door.places(request, found.name)
        self._door.answer(response, self._directory(found, places))

    def on_post(self, request: falcon.Request, response: falcon.Response, policy: str) -> None:
        """Answer the same to an account."""
        call = self._door.by_account(request, response, policy)
        call.check_empty()
        self._door.answer(response, self._directory(call.policy, call.places))

    def _directory(self, policy: Policy, places: Places) -> messages.Document:
        profiles = (None, *policy.rules.profiles)
        with_pairs = any(self._asking.offers_pair(policy, one) for one in profiles)
        return messages.directory(policy, places, with_pairs=with_pairs)


class NewNonce:
    """``HEAD new-nonce`` (RFC 8555 section 7.2)."""

    def __init__(self, office: Office) -> None:
        self._door = office.door

    def on_get(self, request: falcon.Request, response: falcon.Response, policy: str) -> None:
        """Answer a nonce; GET says that there is nothing else to see."""
        places = self._door.places(request, self._door.open_policy(policy).name)
        self._door.fresh_nonce(response)
        response.append_header("Link", f'<{places.directory}>;rel="index"')
        response.status = falcon.HTTP_OK if request.method == "HEAD" else falcon.HTTP_NO_CONTENT

    def on_post(self, request: falcon.Request, response: falcon.Response, policy: str) -> None:
        """Answer an account, whose nonce is used up as with any request."""
        self._door.by_account(request, response, policy).check_empty()
        response.status = falcon.HTTP_NO_CONTENT


class RenewalInfo:
    """``GET renewal-info/<certificate>`` (RFC 9773 section 4.1)."""

    def __init__(self, office: Office) -> None:
        self._door = office.door
        self._renewals = office.server.renewals

    def on_get(
        self, request: falcon.Request, response: falcon.Response, policy: str, identifier: str
    ) -> None:
        """Answer when the certificate should be renewed."""
        self._door.open_policy(policy)
        window = self._renewals.window(self._renewals.find(identifier))
        info = dict(renewal_info(window))
        # Only RFC 9773's members: strict clients refuse others.
        self._door.answer(response, {"suggestedWindow": info["suggestedWindow"]})
        response.set_header("Retry-After", str(window.retry_after))
