"""Why octets are not approved.

::

    AgentFault
    ├── ProofRefused         a proof convinces nobody
    └── NotApproved
        ├── StillWaiting     approvals are missing; the octets wait
        ├── Declined         a person said no
        └── TooManyWait      nothing more is kept waiting now
"""

from hsm_agent.faults import AgentFault


class ProofRefused(AgentFault):
    """The proof is not one of an approver over these octets; the text says why."""


class NotApproved(AgentFault):
    """The octets may not be signed as things stand."""


class StillWaiting(NotApproved):
    """Approvals are missing; the octets wait for them."""


class Declined(NotApproved):
    """A person declined these octets."""


class TooManyWait(NotApproved):
    """So much waits already that nothing more is kept."""
