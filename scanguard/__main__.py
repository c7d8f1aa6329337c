"""``python -m scanguard``: the command line."""

from __future__ import annotations

from scanguard.cli import main

if __name__ == "__main__":
    main()
