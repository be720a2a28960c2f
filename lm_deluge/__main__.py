"""``python -m lm_deluge`` is ``lm-deluge``."""

from lm_deluge.cli import main

if __name__ == "__main__":
    main()
