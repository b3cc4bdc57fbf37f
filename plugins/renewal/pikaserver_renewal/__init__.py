"""When certificates should be renewed, asked over HTTPS."""
