"""Signs checkpoints of the audit trail by the clock, into a folder from which others fetch them."""

from datetime import timedelta

from pikaserver.api.errors import ConfigurationError, NotFound, PikaserverError
from pikaserver.api.files import replace_file
from pikaserver.api.operations import Health, HealthCheck, HealthState, Job
from pikaserver.authority.checkpoints import SERVICE
from pikaserver.server import PkiServer

ACTOR = f"server:{SERVICE}"


class PeriodicCheckpoints:
    """Where the settings ask for it: a job, and a health check that tells of its failures."""

    def __init__(self, server: PkiServer) -> None:
        """See what there is to do.

        Raises:
            ConfigurationError: the authority or the template is missing.
        """
        self._server = server
        self._settings = server.host.audit
        self._failure: str | None = None
        self._wanted = self._settings.checkpoint_hours > 0
        if self._wanted:
            self._check()

    def jobs(self) -> list[Job]:
        """Return the job; none where nothing was asked for."""
        every = timedelta(hours=self._settings.checkpoint_hours)
        return [Job("audit-checkpoints", every, self.run)] if self._wanted else []

    def health_checks(self) -> list[HealthCheck]:
        """Return the check; none where nothing was asked for."""
        return [HealthCheck("audit-checkpoints", self._health)] if self._wanted else []

    def run(self) -> None:
        """Sign one and write it beside the earlier ones.

        Raises:
            PikaserverError: the key cannot sign now.
            OSError: it cannot be written.
        """
        server = self._server
        folder = server.host.path(self._settings.checkpoint_folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            at = server.clock()
            octets = server.checkpoints().sign(self._settings.checkpoint_authority, ACTOR)
            replace_file(folder / f"checkpoint-{at:%Y%m%dT%H%M%SZ}.der", [octets])
        except (PikaserverError, OSError) as problem:
            self._failure = str(problem)
            raise
        self._failure = None

    def _check(self) -> None:
        name = self._settings.checkpoint_authority
        try:
            self._server.authorities.get(name)
        except NotFound:
            raise ConfigurationError(
                f"audit.checkpoint-authority: there is no authority {name!r}"
            ) from None
        try:
            self._server.templates.get(SERVICE)
        except NotFound:
            raise ConfigurationError(
                "audit.checkpoint-hours: there is no template 'audit' for the key that signs;"
                " 'pikaserver template create audit --starter audit' makes it"
            ) from None

    def _health(self) -> Health:
        if self._failure is None:
            return Health(HealthState.OK, "checkpoints of the audit trail are signed")
        return Health(HealthState.DEGRADED, f"no checkpoint could be signed: {self._failure}")
