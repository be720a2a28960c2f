"""Who listens to a stream: handlers, how they are attached, and how each piece reaches them."""
