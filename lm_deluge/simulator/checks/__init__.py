"""What a request must be, and how a wrong one is refused."""
