"""``agent.toml``: read strictly, written with comments."""
