"""The dialects that the simulator speaks, one a file: what a request asks, and how an answer is written."""
