"""Names in certificates: their forms, the rules about them, and name constraints."""
