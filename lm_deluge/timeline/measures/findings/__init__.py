"""What the numbers say, in plain words, and the streams that show it."""
