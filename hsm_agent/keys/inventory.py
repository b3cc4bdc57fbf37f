"""What the agent tells the server of its keys and stores."""

from collections.abc import Callable

from hsm_agent.keys.held_keys import HeldKey
from hsm_agent.keys.keyring import Keyring
from hsm_agent.wire import messages


def inventory(
    keyring: Keyring, policy_digest: bytes, announce: Callable[[HeldKey], messages.Key]
) -> messages.Inventory:
    """Return all keys and stores as they were when they were looked at last."""
    stores = keyring.stores()
    return messages.Inventory(
        policy_digest,
        tuple(announce(key) for key in keyring.keys()),
        tuple(
            messages.Store(
                name,
                stores[name].kind,
                state.state,
                tuple(state.key_types),
                tuple(state.free),
                dict(state.details),
            )
            for name, state in sorted(keyring.states().items())
        ),
    )
