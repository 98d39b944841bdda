"""``python -m bmp_plugin`` is the command ``bmp-plugin``."""
import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
