"""Which software this is, as the other side and the journal are told."""

from importlib.metadata import PackageNotFoundError, version


def software() -> str:
    """Return name and version."""
    try:
        return f"hsm-agent {version('pikaserver')}"
    except PackageNotFoundError:
        return "hsm-agent"
