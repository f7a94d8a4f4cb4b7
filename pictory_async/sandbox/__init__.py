"""A stand-in for the Pictory AI Studio image API that runs in your own process.

For trying the library out without an account, and for testing what you build on it:

```python
from pictory_async import PictorySession
from pictory_async.sandbox import Fault, Sandbox

async with Sandbox() as sandbox:
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    async with session:
        image = await session.generate("A lighthouse in the fog")
```

It needs the extra ``sandbox`` (``pip install 'pictory-async[sandbox]'``) unless its
pictures are switched off. It shares no code with the client: what the two agree on,
they agree on because of the documents.
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
