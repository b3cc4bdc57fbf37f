"""The engine of a server: loaded when it is first needed, tried, and watched."""

from collections.abc import Mapping, Sequence
from threading import Lock

from pikaserver.api.errors import ConfigurationError, PikaserverError
from pikaserver.api.operations import Health, HealthState
from pikaserver.api.server import Server
from pikaserver_openssl import keys, storage
from pikaserver_openssl.engine import KINDS, Engine, EngineFault
from pikaserver_openssl.settings import OpensslSettings

_TRIED = ("ml-dsa-44", "slh-dsa-sha2-128f")
_PROBE_OCTETS = 32


class EngineRoom:
    """Holds the engine; commands that only list keys load none."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._settings = server.settings(OpensslSettings)
        self._engine: Engine | None = None
        self._fault: EngineFault | None = None
        self._lock = Lock()

    def engine(self) -> Engine:
        """Return the engine.

        Raises:
            EngineFault: it cannot be used; the same is said again until the server is restarted.
        """
        with self._lock:
            if self._fault is not None:
                raise self._fault
            if self._engine is None:
                try:
                    self._engine = self._settings.load()
                except EngineFault as fault:
                    self._fault = fault
                    raise
            return self._engine

    def start(self) -> None:
        """Load the engine and let it sign, where it was chosen or is needed.

        Raises:
            ConfigurationError: it cannot be used, or what it signs does not verify.
        """
        needed = self._stored_types()
        if not needed and not self._settings.model_fields_set:
            return
        try:
            engine = self.engine()
            self._try(engine)
        except (EngineFault, PikaserverError) as fault:
            raise ConfigurationError(f"plugins.openssl cannot be used: {fault}") from fault
        for name, kind in needed.items():
            if kind not in engine.offered:
                raise ConfigurationError(f"the key openssl:{name}: {keys.without(engine, kind)}")

    def health(self) -> Health:
        """Tell what signs, and with which kinds of keys."""
        needed = self._stored_types()
        try:
            engine = self.engine()
        except EngineFault as fault:
            if not needed:
                return Health(HealthState.OK, f"no key needs it, and it cannot be used: {fault}")
            return Health(HealthState.DEGRADED, f"{len(needed)} keys cannot sign: {fault}")
        for name, kind in needed.items():
            if kind not in engine.offered:
                found = f"the key openssl:{name}: {keys.without(engine, kind)}"
                return Health(HealthState.DEGRADED, found)
        return Health(HealthState.OK, f"{engine.title}: {_summary(engine.offered)}")

    def _try(self, engine: Engine) -> None:
        """Make a key of each post-quantum family and let it sign; it is never kept."""
        for kind in _TRIED:
            if kind in engine.offered:
                fresh = keys.kept(engine.generate(kind))
                keys.opened(engine, fresh, self._server.entropy(_PROBE_OCTETS))

    def _stored_types(self) -> Mapping[str, str]:
        with self._server.database.reading() as connection:
            return {row.name: row.key_type for row in storage.list_keys(connection)}


def _summary(offered: Mapping[str, str]) -> str:
    """Return the families by provider, and say which post-quantum ones are missing."""
    by_provider: dict[str, list[str]] = {}
    for kind in KINDS:
        if kind in offered:
            by_provider.setdefault(offered[kind], []).append(kind)
    parts = [f"{provider} has {_families(kinds)}" for provider, kinds in by_provider.items()]
    missing = [
        family
        for family in ("ml-dsa", "slh-dsa")
        if not any(kind.startswith(family) for kind in offered)
    ]
    return "; ".join([*parts, *(f"no {family}" for family in missing)])


def _families(kinds: Sequence[str]) -> str:
    """Return ``ml-dsa-44``, ``-65`` and ``-87`` as one word, and so on."""
    families = {"slh-dsa": "slh-dsa", "ml-dsa": "ml-dsa", "rsa": "rsa", "ec": "ec"}
    found = dict.fromkeys(
        next((name for start, name in families.items() if kind.startswith(f"{start}-")), kind)
        for kind in kinds
    )
    counts = {name: sum(kind.startswith(f"{name}-") for kind in kinds) for name in found}
    return ", ".join(f"{name} ({counts[name]})" if counts[name] else name for name in found)
