"""A session lives across the cells of a real notebook, whatever is interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from pictory_async.sandbox import Fault, ThreadedSandbox

# ipykernel tells a waiting cell of an interrupt when its event loop next wakes up, for
# whatever reason (github.com/ipython/ipykernel/issues/881): so here it does so often.
OPEN = """
import asyncio
from pictory_async import Backoff, PictorySession

async def wake_up():
    while True:
        await asyncio.sleep(0.01)

waking = asyncio.create_task(wake_up())
session = PictorySession(polling=Backoff(0.01, factor=1.5, maximum=0.1))
"""
v4: Any = nbformat.v4  # has no types
INTERRUPTED = {"KeyboardInterrupt", "CancelledError"}  # the latter from an await


class Notebook:
    """A notebook whose cells run as soon as they are written."""

    def __init__(self, client: NotebookClient) -> None:
        self._client = client
        self._kernel: Any = client.km

    @property
    def outputs(self) -> list[Any]:
        """The outputs of the last cell so far."""
        return list(self._client.nb.cells[-1].outputs)

    def run(self, code: str) -> list[Any]:
        """Run a cell that raises nothing; return its outputs."""
        self._execute(code)
        kinds = [output.output_type for output in self.outputs]
        assert "error" not in kinds, self.outputs
        return self.outputs

    def value(self, code: str, kind: str = "text/plain") -> str:
        """Run a cell; return its last expression as the notebook shows it."""
        (output,) = self.run(code)
        return str(output.data[kind]).replace("&nbsp;", " ")

    def html(self, code: str) -> str:
        """Run a cell; return the HTML of its last expression."""
        return self.value(code, "text/html")

    def interrupt(self, code: str, *, when: Callable[[], object]) -> None:
        """Run a cell, and interrupt the kernel as soon as *when* says so."""

        async def interrupt() -> None:
            while not when():  # noqa: ASYNC110 - of another thread or process
                await asyncio.sleep(0.01)
            await self._kernel.interrupt_kernel()

        interrupting: list[asyncio.Task[None]] = []

        def begin(**_: object) -> None:
            interrupting.append(asyncio.create_task(interrupt()))

        self._client.set_trait("on_cell_execute", begin)
        self._execute(code)
        self._client.set_trait("on_cell_execute", None)
        assert interrupting[0].done()
        assert self.outputs[-1].ename in INTERRUPTED

    def _execute(self, code: str) -> None:
        cells = self._client.nb.cells
        cells.append(v4.new_code_cell(code))
        self._client.execute_cell(cells[-1], len(cells) - 1)


@pytest.fixture
def notebook(
    pictory_sandbox: ThreadedSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Notebook]:
    """A new notebook in its kernel, where the environment points to the sandbox."""
    for place in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(place, str(tmp_path / place))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    client = NotebookClient(
        v4.new_notebook(), allow_errors=True, timeout=30, kernel_name="python3"
    )
    with client.setup_kernel(cwd=str(tmp_path)):
        yield Notebook(client)
    nbformat.validate(client.nb)


def requests_of(sandbox: ThreadedSandbox, kind: str) -> int:
    """Return how many requests of that kind have arrived."""
    return sum(seen.kind == kind for seen in sandbox.requests)


def test_session_across_cells(
    notebook: Notebook, pictory_sandbox: ThreadedSandbox
) -> None:
    """Opened, used and closed in cells of their own, with interrupts in between."""
    sandbox = pictory_sandbox
    notebook.run(OPEN)
    sandbox.hold()
    notebook.run("job = await session.submit('A lighthouse in May')")
    assert "<strong>in-progress</strong>" in notebook.html("job")

    def printed() -> bool:
        return bool(notebook.outputs)

    # While a cell awaits the job; while one computes; while a paid POST is on the wire.
    notebook.interrupt("print('awaiting'); await job", when=printed)
    notebook.interrupt("print('computing')\nwhile True: pass", when=printed)
    sandbox.add_fault(Fault.slow(2, on="submit"))
    notebook.interrupt(
        "await session.submit('A lighthouse in June')",
        when=lambda: requests_of(sandbox, "submit") == 2,
    )

    # The POST went on without its cell, and its job is polled.
    notebook.run("while len(session.jobs) < 2: await asyncio.sleep(0.01)")
    assert notebook.value("job.done()") == "False"
    sandbox.release()
    assert 'alt="A lighthouse in May"' in notebook.html("image = await job\nimage")
    assert "<strong>completed</strong>" in notebook.html("job")
    notebook.run("await session.drain()")
    assert [body["prompt"][-4:] for body in sandbox.submitted] == [" May", "June"]

    sandbox.add_fault(Fault.hang(on="images"))
    notebook.run("history = session.history()")
    notebook.interrupt(
        "found = [image async for image in history]",
        when=lambda: requests_of(sandbox, "images") == 1,
    )
    found = "[image.prompt[-4:] async for image in history]"
    assert notebook.value(found) == "['June', ' May']"
    gallery = notebook.html("await anext(session.history().pages())")
    assert gallery.count("<img") == 2

    notebook.run("await session.aclose()")
    left = "[task for task in asyncio.all_tasks() if 'pictory' in task.get_name()]"
    assert notebook.value(left) == "[]"


BATCH = """
batch = session.generate_many(["Picture by day", "Picture by night"], progress=True)
await batch.results()
"""


def test_bars(notebook: Notebook, pictory_sandbox: ThreadedSandbox) -> None:
    """A widget where there are widgets, else text; and no warning in either."""
    notebook.run(OPEN)
    notebook.run("import sys; sys.modules['ipywidgets'] = None")  # as if not installed
    pictory_sandbox.fail_next()
    *drawn, gallery = notebook.run(BATCH)
    assert {output.get("name") for output in drawn} == {"stderr"}
    text = "".join(output.text for output in drawn)
    assert "2/2" in text
    assert "arning" not in text
    assert gallery.data["text/html"].count("<figure>") == 2
    assert "1&nbsp;failed" in gallery.data["text/html"]

    notebook.run("del sys.modules['ipywidgets']")
    bar, gallery = notebook.run(BATCH)
    assert "application/vnd.jupyter.widget-view+json" in bar.data
    assert gallery.data["text/html"].count("<img") == 2

    # An interrupted batch stops, and what it has paid for is still polled.
    pictory_sandbox.hold()
    notebook.interrupt(BATCH, when=lambda: len(pictory_sandbox.submitted) == 6)
    notebook.run("while len(session.jobs) < 2: await asyncio.sleep(0.01)")
    assert "0 of 2" in notebook.html("batch")
    pictory_sandbox.release()
    notebook.run("await session.drain()")
    notebook.run("await session.aclose()")
