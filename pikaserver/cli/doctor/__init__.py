"""``pikaserver doctor``: what is wrong here, and what helps."""
