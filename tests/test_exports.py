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


def test_importing_loads_no_leaf() -> None:
    """The package brings its four dependencies and nothing of an extra."""
    code = "import sys, pictory_async; print(*sorted(sys.modules), sep='\\n')"
    loaded = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"click", "rich", "PIL", "fastapi", "orjson", "tqdm"}
    leaves = {"pictory_async.cli", "pictory_async.sandbox", "pictory_async.webhook"}
    assert not (heavy | leaves) & set(loaded)
    assert "pictory_async._session" in loaded
