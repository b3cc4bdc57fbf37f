"""``[plugins.openssl]``."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pikaserver_openssl.cli import CliEngine
from pikaserver_openssl.engine import Engine
from pikaserver_openssl.libcrypto import LibcryptoEngine
from pikaserver_openssl.program import Program

# Neither may a name lead out of the module directory, nor a path begin where the process is.
_Provider = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$")]
_Absolute = Annotated[str, StringConstraints(pattern=r"^/[^\x00{}]+$", max_length=1000)]
_Library = Annotated[
    str, StringConstraints(pattern=r"^(/[^\x00]+|[A-Za-z0-9._-]+)$", max_length=1000)
]


def _hyphens(name: str) -> str:
    return name.replace("_", "-")


class OpensslSettings(BaseModel):
    """``[plugins.openssl]``: which OpenSSL signs, and how it is reached."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_hyphens)

    engine: Literal["libcrypto", "cli"] = "libcrypto"
    """``libcrypto`` inside this process, or ``cli``: slower, and a crash harms nobody else."""
    library: _Library = "libcrypto.so.3"
    """For ``libcrypto``: a name that the loader finds, or a path."""
    command: _Absolute = "/usr/bin/openssl"
    """For ``cli``."""
    providers: tuple[_Provider, ...] = Field(default=("default",), min_length=1, max_length=10)
    """Loaded in this order; nothing else is."""
    module_directory: _Absolute | None = None
    """Where the modules of providers lie; unset: where OpenSSL was built to look."""
    processes: int = Field(default=4, ge=1, le=256)
    """For ``cli``: how many run at a time."""
    timeout_seconds: float = Field(default=30, gt=0, le=600)
    """For ``cli``: how long one may take, and how long a signature waits for its turn."""

    def load(self) -> Engine:
        """Return the engine that these settings mean.

        Raises:
            EngineFault: it cannot be used.
        """
        if self.engine == "libcrypto":
            return LibcryptoEngine(self.library, self.providers, self.module_directory)
        program = Program(self.command, self.processes, self.timeout_seconds)
        return CliEngine(program, self.providers, self.module_directory)
