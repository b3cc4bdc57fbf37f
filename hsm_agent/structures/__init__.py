"""What the agent is asked to sign, read strictly: one structure, one kind, canonical DER."""
