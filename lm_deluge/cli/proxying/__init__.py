"""What ``lm-deluge proxy`` says and shows."""
