"""Logs that grow, followed: the streams of the last minutes."""
