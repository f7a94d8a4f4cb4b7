"""The public names: complete, documented, and light to import."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib.metadata import version

import pytest

import pictory_async
from pictory_async import _batch_errors, _errors

# Fixed by the design; none is renamed or dropped.
PROMISED = {
    "MODELS",
    "Adaptive",
    "Backoff",
    "Batch",
    "BatchOutcome",
    "BatchProgress",
    "FixedInterval",
    "GeneratedImage",
    "HistoryImage",
    "HistoryPage",
    "ImageHistory",
    "ImageRequest",
    "JobHandle",
    "JobState",
    "JobStatus",
    "Limits",
    "ModelInfo",
    "PictorySession",
    "PollPolicy",
    "RetryPolicy",
}


def test_promised_names_are_there() -> None:
    """Every fixed name is exported."""
    assert set(pictory_async.__all__) >= PROMISED


def test_every_error_is_exported() -> None:
    """An error that can be raised can be caught by name."""
    errors = {
        name
        for name, value in (vars(_errors) | vars(_batch_errors)).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }
    assert errors <= set(pictory_async.__all__)


@pytest.mark.parametrize("name", pictory_async.__all__)
def test_public_name_is_documented(name: str) -> None:
    """Every public class and each of its public members says what it is."""
    value = getattr(pictory_async, name)
    if not inspect.isclass(value):
        return
    assert inspect.getdoc(value)
    for member, attribute in vars(value).items():
        if not member.startswith("_") and (
            inspect.isfunction(attribute) or isinstance(attribute, property)
        ):
            assert inspect.getdoc(attribute), f"{name}.{member}"


def test_version_is_that_of_the_package() -> None:
    """The version is named in one place."""
    assert pictory_async.__version__ == version("pictory-async")


def loaded_by(code: str) -> set[str]:
    """Return the modules that are there after *code* in a fresh interpreter."""
    code = f"{code}\nimport sys; print(*sys.modules, sep='\\n')"
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_loads_no_leaf() -> None:
    """The public names bring the four dependencies and nothing of an extra."""
    loaded = loaded_by("from pictory_async import PictorySession")
    heavy = {"click", "rich", "PIL", "fastapi", "orjson", "tqdm", "pytest"}
    leaves = {
        f"pictory_async.{leaf}"
        for leaf in ("cli", "sandbox", "webhook", "pytest_plugin")
    }
    assert not (heavy | leaves) & loaded
    assert "pictory_async._session" in loaded


def test_importing_the_package_alone_costs_nothing() -> None:
    """The names come with the first of them that is used."""
    loaded = loaded_by("import pictory_async; hasattr(pictory_async, '__wrapped__')")
    assert not {"aiohttp", "attrs", "anyio", "pictory_async._public"} & loaded
    code = "import pictory_async; assert 'PictorySession' in dir(pictory_async)"
    assert "pictory_async._session" in loaded_by(code)
    assert "pictory_async._session" in loaded_by("from pictory_async import *; MODELS")


def test_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name is refused as by any module."""
    with pytest.raises(AttributeError, match="PictorySesion"):
        _ = pictory_async.PictorySesion  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        from pictory_async import PictorySesion  # type: ignore[attr-defined] # noqa: F401
