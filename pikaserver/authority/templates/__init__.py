"""Templates: documents read and checked, their versions, and the starters."""
