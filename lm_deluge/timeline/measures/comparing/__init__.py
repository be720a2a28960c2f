"""Two groups, and many: differences, their intervals, and how likely chance alone is."""
