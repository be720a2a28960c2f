"""Rules that a log is held to: their texts, their files, and what they find."""
