"""Write the next step: ``python -m server.store.migrations "what changes"``."""

import sys

from server.store.migrations.making import make

if len(sys.argv) != 2:
    sys.exit('Say in a few words what changes: python -m server.store.migrations "owner of a job"')
print(f"{make(sys.argv[1])} is written. Read it, let make format put it right, and run the tests.")
