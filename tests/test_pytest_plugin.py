"""The pytest plugin, in real runs of pytest with other plugins and without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

APPS = Path(__file__).parent / "apps"

# Runs under each way to run coroutines; {mark} is what that way wants above a test.
ASYNC_TESTS = """
import asyncio
import pytest
from pictory_async import JobFailedError, PictorySession

{mark}
async def test_session(pictory_session, pictory_sandbox):
    image = await pictory_session.generate("A lighthouse at dawn")
    assert image.url.startswith("http://127.0.0.1")
    assert [seen.kind for seen in pictory_sandbox.requests][0] == "submit"
    assert pictory_sandbox.submitted == [{{"prompt": "A lighthouse at dawn"}}]

{mark}
async def test_scripts(pictory_session, pictory_sandbox):
    pictory_sandbox.fail_next(code="NO_LUCK")
    with pytest.raises(JobFailedError, match="NO_LUCK"):
        await pictory_session.generate("A lighthouse at dawn")
    pictory_sandbox.hold()
    job = await pictory_session.submit("A red bicycle")
    assert (await job.wait(timeout=0.1)).state == "in-progress"
    pictory_sandbox.release()
    assert (await job).url

{mark}
async def test_left_in_progress(pictory_session, pictory_sandbox):
    pictory_sandbox.hold()
    await pictory_session.submit("A red bicycle")

{mark}
async def test_session_of_ones_own(pictory_sandbox):
    async with PictorySession() as session:
        await session.submit("A red bicycle")
    assert len(pictory_sandbox.submitted) == 1

{mark}
async def test_in_another_thread(pictory_session):
    await asyncio.to_thread(asyncio.run, pictory_session.generate("A red bicycle"))

def test_without_a_loop(pictory_session, pictory_sandbox):
    assert asyncio.run(pictory_session.generate("A red bicycle")).url
    assert asyncio.run(pictory_session.generate("A red bicycle")).url
    assert len(pictory_sandbox.jobs) == 2

def test_unused(pictory_session):
    assert pictory_session.loop is None

class TestOptions:
    @pytest.fixture
    def pictory_sandbox_options(self):
        return {{"credits": 3, "duration": 0.05}}

    {mark}
    async def test_options(self, pictory_sandbox, pictory_session):
        await pictory_session.generate("A lighthouse at dawn")
        assert pictory_sandbox.credits_left == 1
"""
PASSED = 8


ASYNCIO = ("-p", "pytest_asyncio.plugin")


def run_pytest(folder: Path, *options: str) -> str:
    """Run pytest on *folder* in a fresh interpreter; return what it printed.

    Of all the plugins that may be installed it has only ours and those of *options*:
    some take seconds to load.
    """
    # Nothing of this project's own settings, plugins or coverage.
    env = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    ini = "[pytest]\n"
    if ASYNCIO[1] in options:
        ini += "asyncio_default_fixture_loop_scope = function\n"
    (folder / "pytest.ini").write_text(ini, encoding="utf-8")
    ours = ("-p", "pictory_async.pytest_plugin", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", *ours, *options]
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        command, cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("mark", "options"),
    [
        ("", (*ASYNCIO, "-o", "asyncio_mode=auto")),
        ("@pytest.mark.asyncio", (*ASYNCIO, "-o", "asyncio_mode=strict")),
        (
            "@pytest.mark.asyncio(loop_scope='module')",
            (*ASYNCIO, "-o", "asyncio_mode=strict"),
        ),
        ("@pytest.mark.anyio", ("-p", "anyio.pytest_plugin")),
    ],
    ids=["asyncio-auto", "asyncio-strict", "asyncio-module-loop", "anyio"],
)
def test_fixtures(mark: str, options: tuple[str, ...], tmp_path: Path) -> None:
    """The fixtures work, and nothing is left open, in every way to run coroutines."""
    if "anyio" in mark:
        backend = "import pytest\n@pytest.fixture\ndef anyio_backend():\n"
        (tmp_path / "conftest.py").write_text(f"{backend}    return 'asyncio'\n")
    (tmp_path / "test_it.py").write_text(ASYNC_TESTS.format(mark=mark))
    printed = run_pytest(tmp_path, *options)
    assert f"{PASSED} passed" in printed, printed
    assert "warning" not in printed, printed


ON_THE_TESTS_OWN_LOOP = """
import httpx
from .fastapi_app import app, pictory

async def test_image(pictory_session, pictory_sandbox):
    app.dependency_overrides[pictory] = lambda: pictory_session
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        answer = await client.post("/images", params={"prompt": "A red bicycle"})
    assert answer.json()["url"].endswith(".png")
"""


def test_example_application(tmp_path: Path) -> None:
    """The tests of the FastAPI application pass alone, and so does one with httpx."""
    folder = tmp_path / "example"
    folder.mkdir()
    for name in ("fastapi_app.py", "events.py", "test_fastapi_app.py"):
        shutil.copy(APPS / name, folder)
    (folder / "__init__.py").touch()
    (folder / "test_httpx.py").write_text(ON_THE_TESTS_OWN_LOOP, encoding="utf-8")
    code = (APPS / "test_fastapi_app.py").read_text(encoding="utf-8")
    # The deprecations of other packages are not the example's fault.
    printed = run_pytest(tmp_path, *ASYNCIO, "-o", "asyncio_mode=auto", "-W", "default")
    assert f"{code.count('def test_') + 1} passed" in printed, printed


def test_a_run_that_uses_no_fixture_loads_nothing(tmp_path: Path) -> None:
    """An unrelated project imports only two small modules."""
    (tmp_path / "test_it.py").write_text(
        """
import sys

def test_loaded():
    assert "pictory_async.pytest_plugin" in sys.modules
    ours = {name for name in sys.modules if name.startswith("pictory_async")}
    assert ours == {"pictory_async", "pictory_async.pytest_plugin"}
    assert not {"aiohttp", "attrs", "cattrs", "yarl"} & set(sys.modules)
"""
    )
    printed = run_pytest(tmp_path)
    assert "1 passed" in printed, printed
    (tmp_path / "test_it.py").write_text("def test_it(): pass")
    listed = run_pytest(tmp_path, "--fixtures")
    for name in ("pictory_sandbox", "pictory_session", "pictory_sandbox_options"):
        assert f"\n{name} -- " in listed


def test_entry_point() -> None:
    """Pytest finds the plugin by itself."""
    (found,) = entry_points(group="pytest11", name="pictory_async")
    assert found.value == "pictory_async.pytest_plugin"
