"""What ``lm-deluge run`` is made of: files read, rows understood, questions asked, answers written."""
