"""Whether a client controls what it asks for: challenges, attestations, CAA."""
