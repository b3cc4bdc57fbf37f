"""The kinds of octets that the agent tells apart; a policy allows each key some of them."""

CERT = "cert"
"""A TBSCertificate of somebody who is no authority."""
CA_CERT = "ca-cert"
"""A TBSCertificate of an authority: CA:TRUE, or keyCertSign."""
SELF_SIGNED = "self-signed"
"""A `CA_CERT` over the signing key itself, issuer and subject alike."""
CRL = "crl"
OCSP = "ocsp"
CSR = "csr"
CMS_ATTRS = "cms-attrs"
"""CMS signed attributes (RFC 5652 section 5.4), whatever they stand for but a time-stamp."""
TST = "tst"
"""CMS signed attributes together with the TSTInfo (RFC 3161) that they stand for."""
PROOF = "proof"
"""`PROOF_LABEL` and 32 octets of the asker's choice: shows that the key is here."""
RAW = "raw"
"""Everything else; a key that signs it signs nothing else."""

KINDS = (CERT, CA_CERT, SELF_SIGNED, CRL, OCSP, CSR, CMS_ATTRS, TST, PROOF, RAW)

PROOF_LABEL = b"hsm-agent key proof v1\0"
PROOF_OCTETS = 32
