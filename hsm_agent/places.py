"""What lies where in the agent's data folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """The data folder; only its owner may look into it."""

    folder: Path

    @property
    def settings(self) -> Path:
        """The settings, see `hsm_agent.settings.settings`."""
        return self.folder / "agent.toml"

    @property
    def identity(self) -> Path:
        """Keys of the channel, and the nodes with their pins."""
        return self.folder / "identity"

    @property
    def state(self) -> Path:
        """What can be made again: certificates of authorities, indexes of the journal."""
        return self.folder / "state"

    @property
    def certificates(self) -> Path:
        """The certificates of the authorities whose keys are here."""
        return self.state / "certificates"

    @property
    def approvals(self) -> Path:
        """What waits for approval."""
        return self.folder / "approvals"

    @property
    def software_keys(self) -> Path:
        """The trial store."""
        return self.folder / "software-keys"

    @property
    def socket(self) -> Path:
        """Where ``hsm-agent run`` answers the other commands."""
        return self.folder / "agent.sock"

    def within(self, path: str) -> Path:
        """Return a path of the settings; a relative one starts here."""
        return self.folder / path
