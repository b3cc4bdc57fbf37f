"""``pikaserver ca``: authorities."""
