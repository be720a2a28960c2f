"""Answers of a form that was asked for: what a class asks, how it is written, read and checked. No I/O."""
