"""Every code block of the README runs, against the sandbox."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import looptime
import pytest

from pictory_async.sandbox import Sandbox

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SCRIPTS = [code for code in PYTHON if "asyncio.run(" in code]
APPS = [code for code in PYTHON if "lifespan" in code or "cleanup_ctx" in code]
TESTS = [code for code in PYTHON if code.startswith("# test_")]
NOTEBOOKS = [code for code in PYTHON if code.startswith("# cell")]


async def beside_a_sandbox(main: Coroutine[Any, Any, None]) -> None:
    """Run *main* where the environment points to a sandbox with some history."""
    async with Sandbox(duration=25, pictures=False) as sandbox:
        for number in range(120):
            sandbox.add_image(f"Picture number {number}")
        os.environ["PICTORY_API_KEY"] = sandbox.api_key
        os.environ["PICTORY_API_BASE_URL"] = sandbox.base_url
        await main


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return an `asyncio.run` whose time flies, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PICTORY_API_KEY", "pictai_fake_and_soon_replaced")
    monkeypatch.setenv("PICTORY_API_BASE_URL", "")

    def run(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
            runner.run(beside_a_sandbox(main))

    return run


def test_every_block_is_of_a_kind_that_is_run() -> None:
    """No code block escapes being run.

    Those of shell are run by CI, applications and their tests by `test_web_apps` and
    `test_pytest_plugin`, all others below.
    """
    kinds = (SCRIPTS, APPS, NOTEBOOKS, TESTS)
    assert len(PYTHON) == sum(len(kind) for kind in kinds)
    assert [language for language, _ in BLOCKS if language != "python"] == ["sh", "sh"]
    assert len(SCRIPTS) >= 3


@pytest.mark.parametrize("code", SCRIPTS, ids=range(len(SCRIPTS)))
def test_script_runs(
    code: str,
    run: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A script does what it says, and prints something that is no error."""
    monkeypatch.setattr(asyncio, "run", run)
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102
    printed = capsys.readouterr().out
    assert printed
    assert "Error" not in printed
    if "download(" in code:
        saved = re.findall(r"\S+\.png", printed)
        assert saved
        assert all(Path(path).read_bytes().startswith(b"\x89PNG") for path in saved)


@pytest.mark.parametrize("code", NOTEBOOKS, ids=range(len(NOTEBOOKS)))
def test_notebook_runs(code: str, run: Any) -> None:
    """The cells run one after another, each in a task of its own."""
    names: dict[str, Any] = {}
    cells = [cell for cell in code.split("# cell\n") if cell.strip()]

    async def run_cell(cell: str) -> None:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        result = eval(compile(cell, "README.md", "exec", flags), names)  # noqa: S307
        if inspect.isawaitable(result):
            await result

    async def main() -> None:
        for cell in cells:
            await asyncio.create_task(run_cell(cell))

    run(main())
    assert len(cells) >= 4
    assert len(names["newest"]) == 10
    assert {image.prompt for image in names["newest"][:2]} == {
        "A lighthouse in May",
        "A lighthouse in June",
    }


def test_errors_table_names_every_error() -> None:
    """No error is missing from the table."""
    import pictory_async

    table = README.split("### Errors")[1].split("### Configuration")[0]
    errors = [name for name in pictory_async.__all__ if name.endswith("Error")]
    missing = [name for name in errors if f"`{name}`" not in table]
    assert missing == ["JobError"]  # the base of four that are there
