"""The policy file as the agent uses it: read at the start, and again when it is told to."""

from pathlib import Path

from hsm_agent.faults import SettingsFault
from hsm_agent.policy.policy import Policy, PolicyFault, read_policy


class PolicyFile:
    """Holds the policy that counts; `current` is for any thread, at any time."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            SettingsFault: it cannot be read, or is no policy.
        """
        self.path = path
        self._policy = load_policy(path)

    def current(self) -> Policy:
        """Return the policy that counts now."""
        return self._policy

    def reload(self) -> bool:
        """Read the file again; return whether it says something else now.

        Raises:
            SettingsFault: it is wrong; the policy of before goes on.
        """
        before = self._policy.digest
        self._policy = load_policy(self.path)
        return self._policy.digest != before


def load_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        SettingsFault: it cannot be read, or is no policy.
    """
    try:
        return read_policy(path.read_bytes())
    except OSError as error:
        raise SettingsFault(f"the policy {path} cannot be read: {error.strerror}") from error
    except PolicyFault as error:
        raise SettingsFault(f"{path}: {error}") from error
