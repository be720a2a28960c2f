"""What `lm-deluge chat` is made of."""
