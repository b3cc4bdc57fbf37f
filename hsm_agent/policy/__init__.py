"""The operator's rules: one file, read strictly, and one pure decision about each request."""
