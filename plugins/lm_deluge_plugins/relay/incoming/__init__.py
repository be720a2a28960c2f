"""What front-ends send: requests of ``useChat`` and of AG-UI, as conversations."""
