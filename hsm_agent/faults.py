"""What stops a deed of the agent, in one sentence for the person who asked for it.

::

    AgentFault
    ├── SettingsFault        agent.toml, an option or a file says something wrong
    ├── NotThere             no such key, approval or folder
    ├── Unavailable          the agent, its server or a token cannot be reached now
    ├── Conflict             it is so already, or the state does not allow it
    └── Waiting              it waits for somebody's approval

The family of stores is in ``hsm_agent.stores.store``, that of the channel in
``hsm_agent.channel.faults``.
"""


class AgentFault(Exception):
    """It was not done, and this is why."""


class SettingsFault(AgentFault):
    """A setting, an option or a file stops the start."""


class NotThere(AgentFault):
    """There is no such thing."""


class Unavailable(AgentFault):
    """What it needs cannot be reached now; ask again later."""


class Conflict(AgentFault):
    """The state does not allow it; nothing was changed."""


class Waiting(AgentFault):
    """It is kept, and waits for somebody's approval."""
