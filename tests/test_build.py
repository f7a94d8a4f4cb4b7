"""The build: what it refuses."""

from __future__ import annotations

import runpy
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def hook(monkeypatch):
    """The hook of the build, whose base class brings nothing that it uses."""
    name = "hatchling.metadata.plugin.interface"
    for part in ("hatchling", "hatchling.metadata", "hatchling.metadata.plugin"):
        monkeypatch.setitem(sys.modules, part, ModuleType(part))
    interface = ModuleType(name)
    interface.MetadataHookInterface = object
    monkeypatch.setitem(sys.modules, name, interface)
    return runpy.run_path(str(ROOT / ".ci" / "require_python.py"))


def test_an_old_python_is_refused_in_one_line(hook, monkeypatch) -> None:
    """Before pip looks at any dependency."""
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))

    with pytest.raises(SystemExit) as refusal:
        hook["RequirePython"]().update({"name": "pictory-async"})

    text = "pictory-async needs Python 3.11 or newer; this is 3.10.13"
    assert refusal.value.code == text


def test_the_hook_and_the_metadata_agree(hook) -> None:
    """And a Python that is new enough changes nothing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    oldest = ".".join(map(str, hook["OLDEST"]))
    metadata = {"name": "pictory-async"}

    hook["RequirePython"]().update(metadata)

    assert project["requires-python"] == f">={oldest}"
    assert metadata == {"name": "pictory-async"}
