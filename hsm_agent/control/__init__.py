"""The deeds of the agent that other commands on this host ask for, and the socket for them."""
