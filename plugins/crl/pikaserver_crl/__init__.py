"""CRLs, authority certificates and chains for download."""
