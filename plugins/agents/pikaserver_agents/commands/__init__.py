"""``pikaserver agent``: what operators do with signing agents."""
