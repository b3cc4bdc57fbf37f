"""Which public keys are certified: types, strength, and lists of bad ones."""
