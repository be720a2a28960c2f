"""What ``lm-deluge report`` does, by subject: what it reads, what it is held to, what it writes."""
