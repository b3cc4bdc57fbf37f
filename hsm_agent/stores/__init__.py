"""Where the agent's keys live; each kind of store is one module or room."""
