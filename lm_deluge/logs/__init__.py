"""The timeline log: its lines as they are written, and streams put together from them."""
