"""Write the API reference of the public modules into a folder.

pdoc shows nothing of what a class has from a base in a private module, such as
`PictorySession.aclose`; here it is shown with the class.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pdoc
import pdoc.doc
import pdoc.render

import pictory_async

MODULES = (
    "pictory_async",
    "pictory_async.sandbox",
    "pictory_async.webhook",
    "pictory_async.pytest_plugin",
    "pictory_async.cli",
)

own_members = pdoc.doc.Class.own_members.func


def with_private_bases(shown: pdoc.doc.Class) -> list[pdoc.doc.Doc]:
    """Return the members of a class and those of its bases that have no page."""
    members = [*own_members(shown)]
    for (module, base), inherited in shown.inherited_members.items():
        if module.startswith("pictory_async._") and base not in pictory_async.__all__:
            members += inherited
    return members


if __name__ == "__main__":
    pdoc.doc.Class.own_members = property(with_private_bases)
    pdoc.render.configure(docformat="google")
    pdoc.pdoc(*MODULES, output_directory=Path(sys.argv[1]))
