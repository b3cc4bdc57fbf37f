"""CRLs: what is due, how it is made, where it is kept, and those that others signed."""
