"""The authority decides: requests, templates, issuance, revocation, CRLs."""
