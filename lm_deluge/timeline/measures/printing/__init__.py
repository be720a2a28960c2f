"""What was measured, for a terminal, a pull request and a spreadsheet."""
