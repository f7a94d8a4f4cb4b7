"""``python -m pictory_async`` is the ``pictory`` command."""

import sys

from pictory_async.cli import main

if __name__ == "__main__":
    sys.exit(main())
