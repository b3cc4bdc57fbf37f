"""The lines to the nodes of the server: dialling, frames, heartbeats, lease, answers."""
