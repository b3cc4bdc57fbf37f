"""``pikaserver report``: reports on what is here."""
