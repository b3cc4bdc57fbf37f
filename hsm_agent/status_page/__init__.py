"""The page on this host that shows how the agent is; nothing can be changed there."""
