"""Which keys quantum computers will break, and how each of them is replaced."""
