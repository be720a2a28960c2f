"""Streams played again as a reader saw them: which ones, what came when, in words; no numpy."""
