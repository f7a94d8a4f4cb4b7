"""A stand-in for the Pictory AI Studio image API that runs in your own process.

For trying the library without an account, and for testing what you build on it:

```python
from pictory_async import PictorySession
from pictory_async.sandbox import Fault, Sandbox

async with Sandbox() as sandbox:
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    async with session:
        image = await session.generate("A lighthouse in the fog")
```

It needs the extra ``sandbox`` (``pip install 'pictory-async[sandbox]'``) unless its
pictures are switched off. It is as strict as the documentation; where that is silent or
contradicts itself, `Behavior` has a switch. It shares no code with the client: what the
two agree on, they agree on because of the documentation.

- `Sandbox.fail_next`, `Sandbox.hold`, `Sandbox.release`, `Sandbox.finish` and
  `Sandbox.set_state` script what becomes of jobs.
- `Sandbox.add_fault` scripts what goes wrong, as in
  ``sandbox.add_fault(Fault.answer(503, on="submit"))``; there are `Fault.drop`,
  `Fault.truncate`, `Fault.hang`, `Fault.trickle` and `Fault.slow`, too.
- `Throttle` limits the rate of requests; ``failure_rate=`` and ``credits=`` of
  `Sandbox` let jobs fail.
- `Sandbox.requests`, `Sandbox.submitted`, `Sandbox.jobs`, `Sandbox.images` and
  `Sandbox.webhooks` are what it has received and done.

The logger ``pictory_async.sandbox`` gets each request at level DEBUG: the status of the
answer (or the name of the fault), method and path, and the prompt or the job's state.

With ``state=FILE`` it keeps its jobs and their images for a sandbox of another process,
which is how ``pictory batch --sandbox`` can be interrupted and resumed.

It uses the event loop's own clock, so a loop with a simulated clock drives it.
`ThreadedSandbox`, for ``with`` instead of ``async with``, runs in a thread of its own
and can be used from any thread. `pictory_async.pytest_plugin` has one as a fixture.
"""

from __future__ import annotations

from inspect import get_annotations

from pictory_async.sandbox._faults import Fault
from pictory_async.sandbox._history import ImageView
from pictory_async.sandbox._options import Behavior, Throttle
from pictory_async.sandbox._recording import EndpointKind, SeenRequest, WebhookDelivery
from pictory_async.sandbox._sandbox import Sandbox
from pictory_async.sandbox._state import JobView
from pictory_async.sandbox._thread import ThreadedSandbox

__all__ = [
    "Behavior",
    "EndpointKind",
    "Fault",
    "ImageView",
    "JobView",
    "Sandbox",
    "SeenRequest",
    "ThreadedSandbox",
    "Throttle",
    "WebhookDelivery",
]

# Tracebacks and pickles name the path that users import from, which lasts. Annotations
# are resolved before, as their names are those of the module that defines the class.
for _name in __all__:
    if isinstance(_public := globals()[_name], type):
        _public.__annotations__ = get_annotations(_public, eval_str=True)
        _public.__module__ = __name__
