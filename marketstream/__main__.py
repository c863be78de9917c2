"""`python -m marketstream`: the same as the `marketstream` command."""

from __future__ import annotations

import sys

from marketstream.cli import main

if __name__ == "__main__":
    sys.exit(main())
