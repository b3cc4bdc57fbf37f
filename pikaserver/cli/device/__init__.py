"""The command ``device``."""
