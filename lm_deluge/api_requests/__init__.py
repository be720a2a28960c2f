"""Requests without a client: one function per API."""
