"""Which models there are: whose they are, what they take, what they cost."""
