"""A build that refuses a Python that is too old at once, with one clear line.

``requires-python`` says the same, but pip 23.0 looks at it late: asked for an extra of
a checkout (``pip install '.[cli]'``), it first tries the older releases of every
dependency, for minutes.
"""

import sys

from hatchling.metadata.plugin.interface import MetadataHookInterface

OLDEST = (3, 11)


class RequirePython(MetadataHookInterface):
    """A hook that changes no metadata."""

    def update(self, metadata):
        """Refuse to build for an older Python."""
        if sys.version_info < OLDEST:
            name, (major, minor) = metadata["name"], OLDEST
            found = ".".join(map(str, sys.version_info[:3]))
            raise SystemExit(
                f"{name} needs Python {major}.{minor} or newer; this is {found}"
            )
