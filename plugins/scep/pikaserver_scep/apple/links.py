"""Links to profiles, to be sent by mail: good until the profile's challenge is used or over."""

import falcon
from sqlalchemy import delete, insert, or_, select

from pikaserver.api.errors import NotFound, RequestRejected
from pikaserver.api.server import Server
from pikaserver.api.web import Route, Security, Service
from pikaserver_scep.apple.profiles import Profile
from pikaserver_scep.challenges.secrets import digest, new_secret
from pikaserver_scep.challenges.tables import challenge, profile_link

SERVICE = "profiles"
CONTENT_TYPE = "application/x-apple-aspen-config"
_PURPOSE = "scep-profile"
_LONGEST_TOKEN = 64


class ProfileLinks:
    """Keeps profiles sealed, and finds them by a token that only the link has."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def create(self, profile: Profile, actor: str) -> str:
        """Return the link.

        Raises:
            RequestRejected: no listener serves links.
        """
        base = self._server.base_url(SERVICE)
        if base is None:
            raise RequestRejected("no listener serves profiles: name it in a listener's 'serve'")
        token, now = new_secret(self._server.entropy), self._server.clock()
        new = {
            "token_hash": digest(token),
            "challenge_id": profile.challenge_id,
            "file_name": profile.file_name,
            "file": self._server.secrets.seal(_PURPOSE, profile.file),
            "expires_at": profile.expires_at,
            "created_at": now,
            "created_by": actor,
        }
        with self._server.database.transaction() as connection:
            connection.execute(delete(profile_link).where(profile_link.c.expires_at <= now))
            connection.execute(insert(profile_link), new)
            self._server.audit.record(
                connection,
                "scep.profile-link-created",
                actor,
                challenge=profile.challenge_id,
                file=profile.file_name,
            )
        return f"{base}/{SERVICE}/{token}"

    def find(self, token: str) -> tuple[str, bytes]:
        """Return file name and file.

        Whoever scans mails may follow the link first: that uses nothing up.

        Raises:
            NotFound: there is none, it is over, or its challenge has been used.
        """
        unused = challenge.c.uses_left > 0
        found = (
            select(profile_link.c.file_name, profile_link.c.file)
            .outerjoin(challenge, challenge.c.id == profile_link.c.challenge_id)
            .where(
                profile_link.c.token_hash == digest(token[:_LONGEST_TOKEN]),
                profile_link.c.expires_at > self._server.clock(),
                or_(profile_link.c.challenge_id.is_(None), unused),
            )
        )
        with self._server.database.reading() as connection:
            row = connection.execute(found).one_or_none()
        if row is None:
            raise NotFound("this link was used, or is over; ask for another one")
        return row.file_name, self._server.secrets.open(_PURPOSE, row.file)


class ProfileDownload:
    """``GET /profiles/<token>``."""

    def __init__(self, server: Server) -> None:
        self._links = ProfileLinks(server)

    def on_get(self, request: falcon.Request, response: falcon.Response, token: str) -> None:
        """Answer the profile; the device asks its owner whether to install it."""
        file_name, file = self._links.find(token)
        response.content_type = CONTENT_TYPE
        response.data = file
        response.set_header("Content-Disposition", f'attachment; filename="{file_name}"')
        response.set_header("Cache-Control", "no-store")
        response.set_header("Referrer-Policy", "no-referrer")


def profile_service(server: Server) -> Service:
    """Return the service; a challenge goes over the line, so it wants TLS."""
    return Service(SERVICE, Security.TLS, [Route("/profiles/{token}", ProfileDownload(server))])
