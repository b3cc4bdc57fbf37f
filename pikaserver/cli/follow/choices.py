"""What an operator says of files, their readers, and of servers."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Destination:
    """Where CRLs go, in which form, and who is told."""

    out: Path | None
    pem: bool
    signal: str | None
    pid_file: Path | None
    touch: Path | None


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """Whom to trust, and who we are."""

    issuer: tuple[Path, ...]
    ca_file: Path | None
    client_certificate: Path | None
    client_key: Path | None
    user: str | None
    password_file: Path | None
