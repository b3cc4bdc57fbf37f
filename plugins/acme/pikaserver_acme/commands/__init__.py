"""The commands ``acme policy``, ``acme eab``, ``acme account`` and ``acme order``."""
