"""What can be wrong with a journal."""

from hsm_agent.faults import AgentFault


class JournalFault(AgentFault):
    """The journal cannot be written or read; nothing may be signed."""
