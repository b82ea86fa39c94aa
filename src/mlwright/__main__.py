"""``python -m mlwright``."""

from mlwright.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
