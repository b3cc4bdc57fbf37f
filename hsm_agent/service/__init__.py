"""What the agent does with one request, whichever way it came."""
