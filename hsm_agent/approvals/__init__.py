"""What waits for people, and the proofs that they agreed."""
