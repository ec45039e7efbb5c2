"""``python -m attention VERB``: the same command as ``attention-lab VERB``."""

import sys

from attention.commands import main

if __name__ == "__main__":
    sys.exit(main())
