"""``pikaserver template``: who may get what."""
