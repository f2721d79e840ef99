"""``python -m pgnface`` is the command ``pgnface``."""

from pgnface.cli import main

if __name__ == "__main__":
    main()
