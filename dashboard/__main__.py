"""``python -m dashboard``: the API and the dashboard together, as ``attention-lab serve`` and ``make run``."""

import sys

from attention.commands import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
