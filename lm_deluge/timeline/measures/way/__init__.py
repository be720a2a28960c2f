"""The way of a piece from the provider to the screen: what browsers told, joined with the streams."""
