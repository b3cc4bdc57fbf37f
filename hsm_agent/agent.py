"""One agent without its lines: settings, keys, policy, journal, and the service on top."""

from dataclasses import dataclass

from hsm_agent import clock
from hsm_agent.approvals.approvals import Approvals
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.memory import JournalMemory
from hsm_agent.keys.authority_certificates import AuthorityCertificates
from hsm_agent.keys.inventory import inventory
from hsm_agent.keys.keyring import Keyring
from hsm_agent.places import Place
from hsm_agent.policy_file import PolicyFile
from hsm_agent.private_files import make_private_folder
from hsm_agent.service.service import Service
from hsm_agent.settings.settings import Settings, load_settings
from hsm_agent.software import software
from hsm_agent.stores.opening import open_stores
from hsm_agent.wire.messages import VERSIONS, Hello, Inventory


@dataclass(frozen=True, slots=True)
class Agent:
    """The collaborators of one agent; only one process may hold a data folder at a time."""

    place: Place
    settings: Settings
    policies: PolicyFile
    keyring: Keyring
    journal: Journal
    memory: JournalMemory
    approvals: Approvals
    service: Service

    def hello(self) -> Hello:
        """Return the first message of a line, as things are now."""
        now = self.inventory()
        return Hello(
            versions=VERSIONS,
            agent=self.settings.name,
            software=software(),
            policy=now.policy,
            journal=self.journal.mark(),
            window=self.settings.line.window,
            keys=now.keys,
            stores=now.stores,
        )

    def inventory(self) -> Inventory:
        """Return keys and stores as they were when they were looked at last."""
        return inventory(self.keyring, self.policies.current().digest, self.service.announce)

    def reload_policy(self) -> bool:
        """Read the policy file again and journal its hash; return whether it changed.

        Raises:
            SettingsFault: it is wrong; the policy of before goes on.
            JournalFault: it could not be journaled.
        """
        changed = self.policies.reload()
        self.note_policy()
        return changed

    def note_policy(self) -> None:
        """Journal which policy counts from now on.

        Raises:
            JournalFault: it could not be journaled.
        """
        digest = self.policies.current().digest.hex()
        self.journal.append("policy", digest=digest, file=str(self.policies.path))

    def close(self) -> None:
        """Let tokens and files go; lines are gone before."""
        self.keyring.close()
        self.service.close()
        self.journal.close()
        self.memory.close()


def open_agent(place: Place) -> Agent:
    """Open a data folder; tokens are looked at with ``keyring.refresh``.

    Raises:
        SettingsFault: settings or policy are wrong.
        JournalFault: another process has the folder, or the journal was altered.
    """
    settings = load_settings(place)
    policies = PolicyFile(place.within(settings.policy))
    journal = Journal(place.within(settings.journal), clock.now_ms)
    try:
        return _assemble(place, settings, policies, journal)
    except Exception:
        journal.close()
        raise


def _assemble(place: Place, settings: Settings, policies: PolicyFile, journal: Journal) -> Agent:
    memory = JournalMemory(journal, make_private_folder(place.state))
    keyring = Keyring(
        open_stores(settings.stores, place),
        AuthorityCertificates(place.certificates),
        settings.default_store,
    )
    approvals = Approvals(place.approvals, settings.name, policies.current, journal, clock.now_ms)
    service = Service(keyring, policies.current, journal, memory, approvals, clock.now_ms)
    return Agent(place, settings, policies, keyring, journal, memory, approvals, service)
