"""How a SCEP client without a certificate proves its right to ask."""
