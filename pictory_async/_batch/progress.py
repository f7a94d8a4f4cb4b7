"""Showing how far a batch is: a bar, or whatever the user's function does."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from anyio import to_thread

from pictory_async._batch.options import Progress
from pictory_async._batch.outcomes import BatchProgress
from pictory_async._core.log import log_broken


class Bar:
    """A bar of tqdm, in a terminal or a notebook."""

    def __init__(self) -> None:
        if importlib.util.find_spec("tqdm") is None:
            raise ImportError(
                "progress=True needs tqdm: pip install 'pictory-async[progress]'"
            )
        self._tqdm: Any = None
        self._bar: Any = None

    async def load(self) -> None:
        """Import tqdm, an extra, which reads some files."""
        self._tqdm = await to_thread.run_sync(_load_tqdm)

    def __call__(self, progress: BatchProgress) -> None:
        """Draw it."""
        if self._bar is None:
            self._bar = self._tqdm(total=progress.total, unit="image")
        bar = self._bar
        bar.total = progress.total
        ended = progress.completed + progress.failed + progress.unknown
        bar.set_postfix(_words(progress), refresh=False)
        if ended > bar.n:
            bar.update(ended - bar.n)

    def close(self) -> None:
        """Leave it as it is."""
        if self._bar is not None:
            self._bar.close()


def _load_tqdm() -> Any:
    """Return the class; what it loads and makes at its first use is there then."""
    # In a notebook without ipywidgets tqdm.auto warns, and takes this text bar itself.
    widgets = importlib.util.find_spec("ipywidgets") is not None
    module: Any = importlib.import_module("tqdm.auto" if widgets else "tqdm.std")
    module.tqdm.get_lock()
    return module.tqdm


class Notifier:
    """Tells a watcher, and lets none of its mistakes hurt the batch."""

    def __init__(self, progress: Progress) -> None:
        self._bar = Bar() if progress is True else None
        self._watcher: Callable[[BatchProgress], object] | None = self._bar
        if self._bar is None and callable(progress):
            self._watcher = progress

    @property
    def wanted(self) -> bool:
        """Whether anybody watches."""
        return self._watcher is not None

    async def open(self) -> None:
        """Get ready to show something."""
        if self._bar is not None:
            await self._bar.load()

    def tell(self, progress: BatchProgress) -> None:
        """Tell the watcher; log the first of its mistakes."""
        if self._watcher is None:
            return
        try:
            self._watcher(progress)
        except Exception:  # noqa: BLE001 - told to the log
            log_broken("progress failed and is not shown any more")
            self._watcher = None

    def close(self) -> None:
        """Tell nobody any more."""
        self._watcher = None
        if self._bar is not None:
            self._bar.close()


def _words(progress: BatchProgress) -> dict[str, str]:
    counts = {"failed": progress.failed, "unknown": progress.unknown}
    shown = {name: str(count) for name, count in counts.items() if count}
    return shown | {"credits": str(progress.credits_used)}
