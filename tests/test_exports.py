"""The public names: complete, documented, and light to import."""

from __future__ import annotations

import inspect
import pickle
import re
import subprocess
import sys
from importlib.metadata import version
from types import ModuleType
from typing import Any, get_type_hints

import attrs
import pytest

import pictory_async
import pictory_async.sandbox
import pictory_async.webhook
from pictory_async._core import errors, unknown

# What users import. A name that is added goes in here; none is renamed or dropped.
EXPORTED = {
    "MODELS",
    "STYLES",
    "APIError",
    "Adaptive",
    "AuthenticationError",
    "Backoff",
    "BadRequestError",
    "Batch",
    "BatchOutcome",
    "BatchProgress",
    "BudgetExceededError",
    "ConfigurationError",
    "DownloadError",
    "FixedInterval",
    "GeneratedImage",
    "HistoryImage",
    "HistoryPage",
    "ImageHistory",
    "ImageRequest",
    "InvalidRequestError",
    "InvalidResponseError",
    "JobError",
    "JobExpiredError",
    "JobFailedError",
    "JobHandle",
    "JobNotFoundError",
    "JobState",
    "JobStatus",
    "JobTimeoutError",
    "JournalError",
    "JournalMismatchError",
    "JournalSummary",
    "Limits",
    "ModelInfo",
    "NotFoundError",
    "PaginationError",
    "PermissionDeniedError",
    "PictoryError",
    "PictorySession",
    "PollPolicy",
    "RateLimitedError",
    "RequestStats",
    "RequestTimeoutError",
    "RetryPolicy",
    "ServerError",
    "SessionClosedError",
    "SessionStats",
    "SubmissionUnknownError",
    "TransportError",
    "WrongLoopError",
    "__version__",
    "read_journal",
}


def test_the_exported_names_are_these() -> None:
    """No public name is added, removed or changed by accident."""
    assert set(pictory_async.__all__) == EXPORTED
    assert len(pictory_async.__all__) == len(EXPORTED)


def test_every_error_is_exported() -> None:
    """An error that can be raised can be caught by name."""
    raised = {
        name
        for name, value in (vars(errors) | vars(unknown)).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }
    assert raised <= set(pictory_async.__all__)


PUBLIC = [
    (module, name)
    for module in (pictory_async, pictory_async.sandbox, pictory_async.webhook)
    for name in module.__all__
]
CLASSES = [
    value for module, name in PUBLIC if inspect.isclass(value := getattr(module, name))
]


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_public_class_names_its_public_module(module: ModuleType, name: str) -> None:
    """Tracebacks, representations and pickles name the path that users import from."""
    value = getattr(module, name)
    if inspect.isclass(value):
        assert value.__module__ == module.__name__
        assert pickle.loads(pickle.dumps(value)) is value  # noqa: S301 - our own


@pytest.mark.parametrize("public", [each for each in CLASSES if attrs.has(each)])
def test_annotations_can_be_read_at_run_time(public: type) -> None:
    """Frameworks can resolve the types of all fields."""
    hints = get_type_hints(public)
    assert {field.name for field in attrs.fields(public)} <= hints.keys()


def members(public: type) -> list[tuple[str, Any]]:
    """Return the public methods and properties of a class that are of this package."""
    found = {
        name: inspect.getattr_static(public, name)
        for base in public.__mro__
        if base.__module__.startswith("pictory_async")
        for name in vars(base)
        if not name.startswith("_")
    }
    kinds = (staticmethod, classmethod, property)
    return [
        (name, value)
        for name, value in found.items()
        if inspect.isfunction(value) or isinstance(value, kinds)
    ]


@pytest.mark.parametrize("public", CLASSES)
def test_public_class_is_documented(public: type) -> None:
    """Each class and each of its public members has a docstring."""
    assert inspect.getdoc(public)
    for name, member in members(public):
        assert inspect.getdoc(member), name


@pytest.mark.parametrize("public", [each for each in CLASSES if attrs.has(each)])
def test_every_field_is_documented(public: type) -> None:
    """Each field is in the list of attributes, which no linter checks."""
    text = (inspect.getdoc(public) or "").partition("\nAttributes:\n")[2]
    for field in attrs.fields(public):
        if not field.name.startswith("_"):
            assert re.search(rf"^    {field.name}: \S", text, re.MULTILINE), field.name


@pytest.mark.parametrize(
    "error", [each for each in CLASSES if issubclass(each, Exception)]
)
def test_every_attribute_of_an_error_is_documented(error: type[Exception]) -> None:
    """They are the contract: the class or a base class documents each of them."""
    text = "".join(inspect.getdoc(base) or "" for base in error.__mro__)
    for name in vars(error()):
        if not name.startswith("_"):
            assert re.search(rf"^    {name}: \S", text, re.MULTILINE), name


@pytest.mark.parametrize("public", CLASSES)
def test_every_coroutine_tells_of_being_cancelled(public: type) -> None:
    """Each coroutine documents what cancelling it leaves behind."""
    for name, member in members(public):
        if inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member):
            text = inspect.getdoc(member) or ""
            assert "ancelling" in text, name


def test_version_is_that_of_the_package() -> None:
    """The version is named in one place."""
    assert pictory_async.__version__ == version("pictory-async")


def loaded_by(code: str) -> set[str]:
    """Return the modules that are imported after *code* in a fresh interpreter."""
    code = f"{code}\nimport sys; print(*sys.modules, sep='\\n')"
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_loads_no_leaf() -> None:
    """The public names import the four dependencies and nothing of an extra."""
    loaded = loaded_by("from pictory_async import PictorySession")
    heavy = {"click", "rich", "PIL", "fastapi", "orjson", "tqdm", "pytest"}
    leaves = {
        f"pictory_async.{leaf}"
        for leaf in ("cli", "sandbox", "webhook", "pytest_plugin")
    }
    assert not (heavy | leaves) & loaded
    assert "pictory_async._session" in loaded


def test_importing_the_package_alone_costs_nothing() -> None:
    """Using the first name loads them all."""
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
