"""What the simulator answers, at which pace."""
