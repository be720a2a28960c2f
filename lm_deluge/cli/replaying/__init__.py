"""What ``lm-deluge replay`` does, by subject: which streams, a list of them, how they are shown."""
