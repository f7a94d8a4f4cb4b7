"""Every code block of the README runs, against the sandbox."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import looptime
import pytest
import uvicorn

from pictory_async.sandbox import Sandbox

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SCRIPTS = [code for code in PYTHON if "asyncio.run(" in code]
APPS = [code for code in PYTHON if "FastAPI" in code]
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
    """No code block escapes the tests below; the two of shell are run by CI."""
    assert len(PYTHON) == len(SCRIPTS) + len(APPS) + len(NOTEBOOKS)
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


@pytest.mark.parametrize("code", APPS, ids=range(len(APPS)))
def test_web_app_serves(code: str, run: Any) -> None:
    """The app runs in a real server: an image is started, awaited, and not found."""

    async def main() -> None:
        names: dict[str, Any] = {"__name__": "app"}
        exec(compile(code, "README.md", "exec"), names)  # noqa: S102
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            config = uvicorn.Config(names["app"], log_level="error")
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/images"
            while not server.started:  # noqa: ASYNC110 - it has no event for it
                await asyncio.sleep(0.1)
            async with aiohttp.ClientSession() as http:
                await visit(http, url)
            server.should_exit = True
            await serving
        assert "closed" in repr(names["app"].state.pictory)

    run(main())


async def visit(http: aiohttp.ClientSession, url: str) -> None:
    """Use the README's web app as a browser would."""
    async with http.post(url, params={"prompt": "A lighthouse at dawn"}) as answer:
        job_id = (await answer.json())["job_id"]
    async with http.get(f"{url}/{job_id}") as answer:
        image = await answer.json()
    assert image["url"].endswith(".png")
    assert image["width"] == image["height"] == 1024
    async with http.get(f"{url}/nobody-knows-this") as answer:
        assert answer.status == 404


def test_errors_table_names_every_error() -> None:
    """No error is missing from the table."""
    import pictory_async

    table = README.split("### Errors")[1].split("### Configuration")[0]
    errors = [name for name in pictory_async.__all__ if name.endswith("Error")]
    missing = [name for name in errors if f"`{name}`" not in table]
    assert missing == ["JobError"]  # the base of four that are there
