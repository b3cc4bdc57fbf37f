"""The signing agent that runs beside the token; it imports nothing of the server."""
