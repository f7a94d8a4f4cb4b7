"""Tests of `fastapi_app`, as a user of the library writes them.

Run them with ``pip install pytest fastapi httpx2``: the test client of FastAPI needs
httpx2, which FastAPI does not install. The fixtures are those of
`pictory_async.pytest_plugin`.
"""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from pictory_async import PictorySession
from pictory_async.sandbox import ThreadedSandbox

from .fastapi_app import app, pictory

LIGHTHOUSE = {"prompt": "A lighthouse at dawn"}


@pytest.fixture
def client(pictory_session: PictorySession) -> Iterator[TestClient]:
    """A client of the application, whose session is that of the test."""
    app.dependency_overrides[pictory] = lambda: pictory_session
    with TestClient(app) as client:
        yield client
    app.dependency_overrides.clear()


def test_image(client: TestClient, pictory_sandbox: ThreadedSandbox) -> None:
    """A prompt becomes an image."""
    answer = client.post("/images", params=LIGHTHOUSE)
    assert answer.json()["url"].endswith(".png")
    assert pictory_sandbox.submitted == [LIGHTHOUSE]


def test_image_that_fails(client: TestClient, pictory_sandbox: ThreadedSandbox) -> None:
    """The response says why there is no image."""
    pictory_sandbox.fail_next(code="NO_LUCK")
    answer = client.post("/images", params=LIGHTHOUSE)
    assert answer.status_code == 502
    assert "NO_LUCK" in answer.json()["detail"]


def test_job_in_progress(client: TestClient, pictory_sandbox: ThreadedSandbox) -> None:
    """A job can be started by one request and looked up by others."""
    pictory_sandbox.hold()
    job_id = client.post("/jobs", params=LIGHTHOUSE).json()["job_id"]
    assert client.get(f"/jobs/{job_id}").json() == {"state": "in-progress"}
    pictory_sandbox.release()
    assert client.get(f"/jobs/{job_id}").json()["state"] == "completed"
