"""The page of ``lm-deluge web``: whom it may ask, who may ask it, and what it is made of."""
