"""Listeners, TLS, limits, callers, problems: HTTP without any protocol of ours."""
