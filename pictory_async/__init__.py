"""An asyncio-native client for the Pictory AI Studio image API.

```python
import asyncio
from pictory_async import PictorySession

async def main():
    async with PictorySession() as session:  # reads $PICTORY_API_KEY
        job = await session.submit("A lighthouse at dawn", aspect_ratio="16:9")
        image = await job  # polled in the background
        print(await session.download(image, "pictures/"))

asyncio.run(main())
```

Start with `PictorySession`. A `JobHandle` is a job that can be awaited, a `Batch` makes
the images of many prompts, an `ImageHistory` lists the account's images, and
`PictoryError` is the base of all errors. `pictory_async.sandbox` is a local stand-in
for the service, `pictory_async.webhook` receives webhooks,
`pictory_async.pytest_plugin` has fixtures for your tests, and `pictory_async.cli` is
the command ``pictory``.

## Polling

The service documents polling intervals of 10 to 30 seconds. One scheduler polls all
jobs of a session, and each poll serves all tasks that wait for the job. Choose a policy
with ``PictorySession(polling=...)``:

- `Adaptive`, the default, learns how long the jobs of each model take, and polls when
  the image is likely to be ready, with about as many polls as at a fixed interval of 10
  seconds. Until eight jobs have ended, and for a job that takes longer than any before,
  it behaves like `Backoff`. At the level DEBUG the log gives the reason for the time of
  each poll.
- `Backoff` polls at growing intervals: by default 10 seconds, then 1.25 times longer
  each time, up to 30 seconds, with a jitter of up to 10 %.
- `FixedInterval` polls every 15 seconds by default, like the service's guide.
- Any object with the two methods of `PollPolicy` works.

A poll that fails does not fail its job: it is repeated until *job_timeout*. Only an
answer that repeating cannot change, such as 400, 401 or 403, ends the handle
immediately.

## Notebooks

Each cell of a notebook is a task of its own; a session can be opened in one cell, used
in another and closed in a third. Jobs, images, pages of the history, batches and the
results of a batch are displayed as HTML in Jupyter and marimo, failures with their
reason. Of a long list the first 100 images are displayed; ``results[100:]`` displays
the next. A saved notebook contains the signed URLs of its images.

A cell can be interrupted at any time: the session stays open, and its jobs continue and
can be awaited in the next cell. ipykernel 7 interrupts a waiting cell when its event
loop next wakes up, for example for a poll.

## Logging

The logger is ``logging.getLogger("pictory_async")``. Each record has a message, and
flat fields in ``extra``: the name of the event as ``pictory_event``, and the fields
listed below, each prefixed with ``pictory_``. All values have JSON types, so that
``structlog.stdlib.ExtraAdder`` and JSON formatters can write them as they are. No
record contains the key, a whole prompt, the URL of a webhook or the query of any URL.

- `submitted` (INFO): a job was accepted. Fields: `job_id`, `model`, `elapsed`.
- `polled` (DEBUG): a poll was answered; the next is after `delay`. Fields: `job_id`,
  `state`, `polls`, `elapsed`, `delay`.
- `retried` (INFO): a request failed and is sent again after `delay`. Fields: `kind`,
  `job_id`, `delay`, `attempt`, `error`, `reason`, `status`.
- `throttled` (INFO): a 429 or 503 slows the session down to `rate` requests a second,
  after `delay`. Fields: `kind`, `delay`, `rate`, `error`, `reason`, `status`.
- `completed` (INFO): a job ended with its image. Fields: `job_id`, `polls`, `elapsed`,
  `credits_used`.
- `failed` (WARNING): a job ended without an image. Fields: `job_id`, `polls`,
  `elapsed`, `error`, `reason`, `status`.
- `closed` (INFO or WARNING): the session was closed; WARNING with jobs in progress.
  Fields: `job_ids`.
- `abandoned` (WARNING or ERROR): the outcome of a submission that was cancelled on the
  wire. Fields: `job_id`, `error`, `reason`, `status`.
- `undocumented` (WARNING): a model, ratio, style or state that this release does not
  know. Fields: `field`, `value`, `job_id`.
- `broken` (ERROR): a policy or progress function raised; with the traceback. Fields:
  `job_id`.
- `lost` (ERROR): a batch could not write something to its journal. Fields: `job_id`.
- `planned` (DEBUG): the reason for the delay that `Adaptive` chose. Fields: `delay`,
  `model`, `elapsed`, `polls`, `reason`.
- `webhook` (DEBUG): a webhook was received. Fields: `job_id`.

Times are in seconds. `kind` is submit, poll, page or download. `error` is the name of
the error's class, `reason` its text and `status` its HTTP status. `credits_used` is a
string such as ``"0.6"``, which no float represents exactly. A field without a value is
None.

## Figures

`PictorySession.stats` is a `SessionStats`, available at any time: requests by kind and
outcome, retries, seconds of throttling, jobs, polls per job, and exact credits.

`opentelemetry-instrumentation-aiohttp-client` traces every request if it is enabled
before the session opens. A submit, a page and a download are children of their caller's
span; a poll serves all waiters and is a root span. No attribute contains the key,
unless you capture headers: then add ``authorization`` to
``OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS``.

## Very many jobs

With a hundred thousand jobs in flight, one full garbage collection can stop the event
loop for half a second. ``gc.freeze()`` or higher ``gc`` thresholds avoid that.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pictory_async import _public
    from pictory_async._public import *  # noqa: F403

    __all__: list[str] = []
    __all__ += _public.__all__  # in this form for pyright
else:
    # All names are loaded when the first of them is used (PEP 562). pytest imports the
    # package at the start of every run, for its plugin, and must not pay for aiohttp.

    def __getattr__(name: str) -> Any:
        if name.startswith("__") and name not in {"__all__", "__version__"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        public = importlib.import_module("pictory_async._public")
        names = {found: getattr(public, found) for found in public.__all__}
        globals().update(names, __all__=public.__all__)
        if name in globals():
            return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
