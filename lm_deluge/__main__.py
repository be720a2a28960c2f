"""``python -m lm_deluge`` is ``lm-deluge``."""

from lm_deluge.cli import main

main()
