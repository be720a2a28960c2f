"""The life of a stream: its attempts, its limits, its one ending."""
