"""Who the agent is to its servers, and who they are to it."""
