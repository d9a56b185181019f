"""`python -m limpet`: the command line. Must never do more than call it."""

import sys

from limpet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
