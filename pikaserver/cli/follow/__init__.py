"""``pikaserver crl follow``: keeps local files of CRLs fresh, beside brokers and proxies."""
