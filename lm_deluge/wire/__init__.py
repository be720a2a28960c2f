"""The protocol without I/O: bytes and dicts in, values out."""
