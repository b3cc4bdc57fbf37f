"""Keys that the operator of this host makes or brings: journaled, and bound by no other rule."""

from hsm_agent.faults import NotThere
from hsm_agent.journal.journal import Journal
from hsm_agent.keys.keyring import Keyring, KeyringKey
from hsm_agent.policy.policy import Policy
from hsm_agent.stores.store import NewKey


class LocalKeys:
    """Makes keys and takes them in.

    ``profile`` may name one of the policy's, under which the key then lives as if it had been
    made from afar; without one it signs once ``[keys."STORE/LABEL"]`` of the policy says so.
    """

    def __init__(self, keyring: Keyring, journal: Journal) -> None:
        self._keyring = keyring
        self._journal = journal

    def generate(self, wanted: NewKey, policy: Policy, profile: str) -> KeyringKey:
        """Make a key; the label of ``wanted`` may be ``STORE/LABEL``.

        Raises:
            StoreError: none was made.
            NotThere: there is no such profile.
            JournalFault: the journal cannot be written, and none was made.
        """
        name = self._keyring.full_name(wanted.label)
        _check_profile(policy, name, profile)
        self._journal.append(
            "make", name=name, profile=profile, way="local", **{"key-type": wanted.key_type}
        )
        key = self._keyring.generate(name, wanted.key_type, wanted.pin_policy, wanted.touch_policy)
        self._note(key, profile, "made")
        return key

    def bring(self, wanted: NewKey, pkcs8: bytes, policy: Policy, profile: str) -> KeyringKey:
        """Take a private key that was made elsewhere.

        Raises:
            StoreError: it was not taken.
            NotThere: there is no such profile.
            JournalFault: the journal cannot be written.
        """
        name = self._keyring.full_name(wanted.label)
        _check_profile(policy, name, profile)
        key = self._keyring.import_key(name, pkcs8, wanted)
        self._note(key, profile, "imported")
        return key

    def _note(self, key: KeyringKey, profile: str, origin: str) -> None:
        told = {"name": key.name, "key": key.spki_hash.hex(), "way": "local"}
        told["key-type"] = key.stored.key_type
        # A `generated` line is what the memory learns profiles from.
        if profile:
            self._journal.append("generated", origin=origin, profile=profile, **told)
        else:
            self._journal.append(origin, **told)


def _check_profile(policy: Policy, name: str, profile: str) -> None:
    if profile and policy.rules(name, b"", profile) is None:
        raise NotThere(f"the policy has no profile {profile!r}")
