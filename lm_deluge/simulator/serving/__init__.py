"""Connections, the running server, and what it received."""
