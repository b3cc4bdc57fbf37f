"""``pikaserver cert``: certificates."""
