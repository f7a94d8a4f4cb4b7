"""The events of a job, as a browser's `EventSource` takes them.

All applications beside this file stream the same events: ``status`` immediately and
then every few seconds, so that no proxy takes the connection for dead, and one ``end``,
with the URL of the image or with the error:

```
event: status
id: 1
data: {"state": "in-progress", "seconds": 0.0}

event: end
id: end
data: {"state": "completed", "seconds": 12.4, "url": "https://..."}
```

An `EventSource` reconnects whenever a stream ends, until its page closes it or the
answer is 204. So a request whose ``Last-Event-ID`` is that of the last event gets a
204; one after a connection that was lost gets the present status, then the rest.
"""

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

from pictory_async import JobHandle, PictoryError, SessionClosedError

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold the events back
}
LAST_ID = "end"
SECONDS = 5.0  # between two events; proxies give up after about 60 seconds of silence


async def job_events(job: JobHandle[Any]) -> AsyncIterator[bytes]:
    """Return the events of *job*, once the service has answered for it.

    Raises:
        PictoryError: The service does not know the job, or refused to say: there is
            still time for an error status.
    """
    async for status in job.updates():
        if job.done() and not status.state.final:
            await job  # raises the reason
        if job.request or status.polls:  # it was submitted here, or polled
            break
    return _events(job)


async def _events(job: JobHandle[Any]) -> AsyncIterator[bytes]:
    for number in itertools.count(1):
        if job.done():
            break
        yield _event("status", number, job)
        await job.wait(timeout=SECONDS)
    try:
        outcome = {"url": (await job).url}
    except SessionClosedError:
        return  # the job goes on; the browser reconnects to the process that is next
    except PictoryError as error:
        outcome = {"error": str(error)}
    yield _event("end", LAST_ID, job, **outcome)


def _event(name: str, id: int | str, job: JobHandle[Any], **more: str) -> bytes:  # noqa: A002
    data = {"state": job.status.state, "seconds": round(job.status.elapsed, 1), **more}
    return f"event: {name}\nid: {id}\ndata: {json.dumps(data)}\n\n".encode()
