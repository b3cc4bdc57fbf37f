"""Starters: commented template documents, one TOML file each; see `authority.starters`."""
