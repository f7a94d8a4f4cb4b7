"""Fixtures for tests of programs that use this library; pytest finds the plugin itself.

- ``pictory_sandbox`` is a `pictory_async.sandbox.ThreadedSandbox`: a stand-in for the
  service, in a thread of its own, for one test. ``$PICTORY_API_KEY`` and
  ``$PICTORY_API_BASE_URL`` point to it.
- ``pictory_session`` is a `pictory_async.PictorySession` of that sandbox, which polls
  every few milliseconds.
- ``pictory_sandbox_options`` sets options of the sandbox: override it to return, for
  example, ``{"credits": 10}``.

```python
async def test_failure_is_reported(pictory_sandbox, pictory_session):
    pictory_sandbox.fail_next()
    assert await my_program(pictory_session) == "no image today"
    assert pictory_sandbox.submitted[0]["prompt"] == "A lighthouse at dawn"
```

In a web application, let the test client use the session. For the FastAPI application
in ``tests/apps/fastapi_app.py``, whose tests are in ``tests/apps/test_fastapi_app.py``
(``pip install pytest fastapi httpx2``; the last is for FastAPI's test client):

```python
@pytest.fixture
def client(pictory_session):
    app.dependency_overrides[pictory] = lambda: pictory_session
    with TestClient(app) as client:
        yield client
    app.dependency_overrides.clear()

def test_image(client, pictory_sandbox):
    answer = client.post("/images", params={"prompt": "A lighthouse at dawn"})
    assert answer.json()["url"].endswith(".png")
    assert pictory_sandbox.submitted == [{"prompt": "A lighthouse at dawn"}]
```

``pictory_sandbox`` has all methods of `pictory_async.sandbox.Sandbox`, for use from any
thread: ``fail_next``, ``hold``, ``release``, ``finish``, ``add_fault``, ``requests``,
``submitted``, ``jobs``, ``webhooks``. Without pytest, use ``with ThreadedSandbox() as
sandbox``.

The fixtures are synchronous, so that they work in synchronous tests (such as those with
the test client of a web framework), with pytest-asyncio in both of its modes, and with
the plugin of anyio.

pytest imports this module at the start of every run in an environment that has the
package, so it imports nothing but pytest before a fixture is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pictory_async import PictorySession
    from pictory_async.sandbox import ThreadedSandbox

__all__ = ["pictory_sandbox", "pictory_sandbox_options", "pictory_session"]

_CLOSING = 30.0  # seconds; closing takes milliseconds, or 5 s with a POST on the wire


@pytest.fixture
def pictory_sandbox_options() -> dict[str, Any]:
    """Options of the `ThreadedSandbox`; none by default.

    Override it in a module or class, or parametrize it:

    ```python
    @pytest.fixture
    def pictory_sandbox_options():
        return {"credits": 10}
    ```
    """
    return {}


@pytest.fixture
def pictory_sandbox(
    pictory_sandbox_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ThreadedSandbox]:
    """A stand-in for the service, in a thread of its own, for one test.

    Its jobs take no time, unless ``hold`` is called; its images are plain PNG files
    that do not need Pillow. ``$PICTORY_API_KEY`` and ``$PICTORY_API_BASE_URL`` point to
    it, so that a `PictorySession` that your program makes uses it.
    """
    from pictory_async.sandbox import ThreadedSandbox  # noqa: PLC0415 - see above

    quick = {"duration": 0.0, "pictures": False}
    with ThreadedSandbox(**{**quick, **pictory_sandbox_options}) as sandbox:
        monkeypatch.setenv("PICTORY_API_KEY", sandbox.api_key)
        monkeypatch.setenv("PICTORY_API_BASE_URL", sandbox.base_url)
        yield sandbox


@pytest.fixture
def pictory_session(pictory_sandbox: ThreadedSandbox) -> Iterator[PictorySession]:
    """A session of `pictory_sandbox` that polls after 10 to 100 milliseconds.

    Like every session it belongs to the event loop of its first use: that of the test,
    or that of an application under test. It is closed after the test. Retries wait for
    milliseconds, and a job that does not end fails after 30 seconds.
    """
    import pictory_async  # noqa: PLC0415 - see above

    session = pictory_async.PictorySession(
        pictory_sandbox.api_key,
        base_url=pictory_sandbox.base_url,
        polling=pictory_async.Backoff(0.01, factor=1.5, maximum=0.1),
        retries=pictory_async.RetryPolicy(first=0.01, maximum=0.1, throttled_for=5),
        job_timeout=30,
    )
    yield session
    _close(session)


def _close(session: PictorySession) -> None:
    """Close *session* on its loop, which may run in another thread, or not run."""
    import asyncio  # noqa: PLC0415 - see above

    loop = session.loop
    if loop is None:
        return  # never used, closed, or closed together with its loop
    if loop.is_running():  # in another thread
        closing = asyncio.run_coroutine_threadsafe(session.aclose(), loop)
        closing.result(_CLOSING)
    else:
        loop.run_until_complete(session.aclose())
