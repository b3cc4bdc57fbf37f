"""REST (JSON over HTTPS): certificates for programs, under ``/api/v1``."""
