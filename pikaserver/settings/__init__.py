"""Host settings: TOML, credentials, environment and flags become checked values."""
