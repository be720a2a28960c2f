"""Logs read into columns and measured many streams at once: what ``measure`` does with a log."""
