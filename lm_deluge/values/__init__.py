"""Nouns that every room shares: what users give, what servers say, when it came. No I/O."""
