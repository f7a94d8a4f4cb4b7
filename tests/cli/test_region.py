"""The part of a terminal that is drawn again and again."""

from __future__ import annotations

import asyncio
import io

import pytest
from rich.console import Console
from rich.text import Text

from pictory_async.cli._region import Region


@pytest.mark.looptime
async def test_it_is_drawn_while_it_is_open() -> None:
    """At once, then at each interval; closed, its task has ended."""
    drawn: list[float] = []
    loop = asyncio.get_running_loop()

    def render() -> Text:
        drawn.append(loop.time())
        return Text("so far")

    before = asyncio.all_tasks()
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=40)
    async with Region(console, render, interval=0.5):
        await asyncio.sleep(1.2)
        names = {task.get_name() for task in asyncio.all_tasks() - before}
    assert names == {"pictory-region"}
    assert asyncio.all_tasks() == before
    assert {0.0, 0.5, 1.0} <= {round(moment - drawn[0], 3) for moment in drawn}
    # The last line is empty: a ^C of the terminal stands there.
    assert "so far" in out.getvalue().replace("\r", "").split("\n")[0]
    assert out.getvalue().count("\n") > 0
