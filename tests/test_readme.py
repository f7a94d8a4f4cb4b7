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

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SCRIPTS = [code for code in PYTHON if "asyncio.run(" in code]
[APP] = [code for code in PYTHON if code.startswith("# app.py")]
[NOTEBOOK] = [code for code in PYTHON if code.startswith("# cell")]


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
    """Return an `asyncio.run` in simulated time, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PICTORY_API_KEY", "pictai_fake_and_soon_replaced")
    monkeypatch.setenv("PICTORY_API_BASE_URL", "")

    def run(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
            runner.run(beside_a_sandbox(main))

    return run


def test_every_block_is_of_a_kind_that_is_run() -> None:
    """No code block escapes being run.

    Those of shell are run by CI, the application by `test_web_apps`, all others below.
    """
    assert sorted(PYTHON) == sorted([*SCRIPTS, APP, NOTEBOOK])
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


def test_notebook_runs(run: Any) -> None:
    """The cells run one after another, each in a task of its own."""
    names: dict[str, Any] = {}
    cells = [cell for cell in NOTEBOOK.split("# cell\n") if cell.strip()]
    shown = list[str]()

    async def run_cell(cell: str) -> None:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree = ast.parse(cell)
        if isinstance(last := tree.body[-1], ast.Expr):  # what a notebook shows
            target = ast.Name("shown", ast.Store(), lineno=1, col_offset=0)
            tree.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)
        names["shown"] = None
        result = eval(compile(tree, "README.md", "exec", flags), names)  # noqa: S307
        if inspect.isawaitable(result):
            await result
        if names["shown"] is not None:
            shown.append(names["shown"]._repr_html_())

    async def main() -> None:
        for cell in cells:
            await asyncio.create_task(run_cell(cell))

    run(main())
    assert [html.count("<img") for html in shown] == [0, 1, 3, 100]
    assert "<strong>in-progress</strong>" in shown[0]
    for month in ("May", "June", "July", "August"):
        assert f'alt="A lighthouse in {month}"' in shown[3]


def test_errors_table_names_every_error() -> None:
    """No error is missing from the table."""
    import pictory_async

    table = README.split("## Errors\n")[1].split("\n## ")[0]
    errors = [name for name in pictory_async.__all__ if name.endswith("Error")]
    missing = [name for name in errors if f"`{name}`" not in table]
    assert missing == ["JobError"]  # the base of four that are there


def test_length() -> None:
    """It can be read in five minutes."""
    assert len(README.splitlines()) <= 300


def test_links() -> None:
    """Each picture and file that it links to is there, and no picture is large."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    pictures = [ROOT / target for target in targets if target.endswith(".png")]
    assert len(pictures) == 3
    for target in targets:
        assert (ROOT / target).exists(), target
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size < 300_000
