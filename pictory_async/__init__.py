"""An asyncio-native client of the Pictory AI Studio image API.

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

`PictorySession` is where to begin; a `JobHandle` is a job that can be awaited, a
`Batch` the images of many prompts, an `ImageHistory` the account's images, and
`PictoryError` the base of all errors. `pictory_async.sandbox` is a stand-in for the
service, `pictory_async.webhook` receives its webhooks, `pictory_async.pytest_plugin`
has fixtures for your tests, and `pictory_async.cli` is the command ``pictory``.

## Polling

The service asks for intervals of 10 to 30 seconds. One scheduler polls all jobs of a
session, each job once for all that wait for it. `PictorySession` takes the policy as
``polling=``:

- `Adaptive`, the default, learns how long the jobs of each model take, and polls when
  the answer is likely to be there, for as many polls as an interval of 10 seconds would
  cost. Until eight jobs have ended, and for a job that takes longer than all that was
  learned, it is a `Backoff`. At the level DEBUG the log says why each poll is when it
  is.
- `Backoff` polls at growing intervals: by default after 10 seconds, then by a factor of
  1.25 up to 30 seconds, each varied by up to 10 %.
- `FixedInterval` polls every 15 seconds by default, as the service's guide does.
- Anything with the two methods of `PollPolicy` will do.

A poll that fails does not fail its job: it is repeated until *job_timeout*. Only an
answer that will not change, such as 400, 401 or 403, ends the handle at once.

## Notebooks

Each cell of a notebook is a task of its own, and a session can be opened in one, used
in another and closed in a third. Jobs, images, pages of the history, batches and the
results of a batch show themselves as HTML, in Jupyter and in marimo. What failed is
shown with its reason. Of a long list the first 100 are shown; ``results[100:]`` shows
the next. A saved notebook contains the signed URLs of its pictures.

A cell can be interrupted at any time: the session stays open, its jobs go on and can be
awaited in the next cell. ipykernel 7 interrupts a waiting cell when its event loop next
wakes up, for example for a poll.

## Logging

The logger is ``logging.getLogger("pictory_async")``. Each record has a text and flat
fields in ``extra``: ``pictory_event``, which is its kind, and those listed for this
kind, each with ``pictory_`` before its name. All are of JSON's own types, so that
``structlog.stdlib.ExtraAdder`` and formatters for JSON can write them as they are. No
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
- `broken` (ERROR): a policy or progress function raised; with its traceback. Fields:
  `job_id`.
- `lost` (ERROR): a batch could not write something to its journal. Fields: `job_id`.
- `planned` (DEBUG): why `Adaptive` polls when it does. Fields: `delay`, `model`,
  `elapsed`, `polls`, `reason`.
- `webhook` (DEBUG): a webhook was received. Fields: `job_id`.

Times are in seconds. `kind` is submit, poll, page or download. `error` is the name of
the class, `reason` its text and `status` that of HTTP. `credits_used` is a text such as
``"0.6"``, which no float can represent. A field without a value is None.

## Figures

`PictorySession.stats` is a `SessionStats`, at any time and at no cost: requests by kind
and outcome, retries, seconds of throttling, jobs, polls per job, and exact credits.

`opentelemetry-instrumentation-aiohttp-client` traces every request if it is switched on
before the session opens. A submit, a page and a download are children of the span that
asked for them; polls serve all waiters and are spans of their own. The key is in no
attribute, unless you have headers captured: then add ``authorization`` to
``OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS``.

## Very many jobs

With a hundred thousand jobs in flight, one full collection of garbage can stop the
event loop for half a second. ``gc.freeze()``, or higher thresholds of ``gc``, avoid it.
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
    # The names come with the first of them that is used (PEP 562). pytest imports the
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
