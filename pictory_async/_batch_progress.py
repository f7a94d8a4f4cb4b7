"""Showing how far a batch is: a bar, or whatever the user's function does."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

from pictory_async._batch_plan import Progress
from pictory_async._outcomes import BatchProgress

logger = logging.getLogger("pictory_async")


class Bar:
    """A bar of tqdm, in a terminal or a notebook."""

    def __init__(self) -> None:
        try:
            # Not at import time: it is an extra, and takes its time.
            module: Any = importlib.import_module("tqdm.auto")
        except ImportError as exc:
            raise ImportError(
                "progress=True needs tqdm: pip install 'pictory-async[progress]'"
            ) from exc
        self._tqdm = module.tqdm
        self._bar: Any = None

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

    def tell(self, progress: BatchProgress) -> None:
        """Tell the watcher; log the first of its mistakes."""
        if self._watcher is None:
            return
        try:
            self._watcher(progress)
        except Exception:
            logger.exception("progress failed and is not shown any more")
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
