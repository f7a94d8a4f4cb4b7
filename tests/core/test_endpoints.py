"""Endpoints: what a call sends, and how it reads its answer."""

from __future__ import annotations

import pytest

from pictory_async._core.endpoints import IMAGES, Kind, image_page
from pictory_async._core.errors import InvalidRequestError
from pictory_async._core.models import ImageRequest, JobState
from tests.samples import sample

REQUEST = ImageRequest("A fox in the snow", style="cartoon")
JOB = "4d82d040-4394-4371-867d-72ae1dd62b6d"


def test_a_submission_is_a_paid_post() -> None:
    """The request goes as JSON, and the answer gives the job's id."""
    call = IMAGES.submit(REQUEST)

    assert (call.kind, call.method) == (Kind.SUBMIT, "POST")
    assert call.path == "/v1/aistudio/images"
    assert call.body == b'{"prompt": "A fox in the snow", "style": "cartoon"}'
    assert (call.request, call.paid) == (REQUEST, True)
    assert call.read(sample("documented-submitted")) == JOB


def test_a_bad_submission_is_found_when_it_is_made() -> None:
    """What cannot be JSON never becomes a call."""
    with pytest.raises(InvalidRequestError):
        IMAGES.submit(ImageRequest("A fox", extra={"seed": object()}))


def test_a_poll_is_a_free_get() -> None:
    """The answer gives a report that knows the id and the request."""
    call = IMAGES.job(JOB, REQUEST)

    assert (call.kind, call.method, call.body) == (Kind.POLL, "GET", None)
    assert call.path == f"/v1/jobs/{JOB}"
    assert call.paid is False
    report = call.read(sample("job-completed"))
    assert report.state == JobState.COMPLETED
    assert report.result is not None
    assert (report.result.job_id, report.result.request) == (JOB, REQUEST)


@pytest.mark.parametrize(
    ("job_id", "path"),
    [
        ("a/../b?x=1#y", "/v1/jobs/a%2F..%2Fb%3Fx%3D1%23y"),
        ("a b%2F", "/v1/jobs/a%20b%252F"),
        ("é", "/v1/jobs/%C3%A9"),
        ("a\ud800", "/v1/jobs/a%ED%A0%80"),
    ],
)
def test_an_id_stays_in_its_place_in_the_path(job_id: str, path: str) -> None:
    """An opaque id is encoded whole, whatever it holds."""
    assert IMAGES.job(job_id, None).path == path


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (None, "/v1/aistudio/images"),
        ("", "/v1/aistudio/images"),
        ("eyJw+/8=", "/v1/aistudio/images?nextPageKey=eyJw%2B%2F8%3D"),
        ("a&b=c#d", "/v1/aistudio/images?nextPageKey=a%26b%3Dc%23d"),
        ("a\ud800", "/v1/aistudio/images?nextPageKey=a%ED%A0%80"),
    ],
)
def test_a_page_is_asked_for_by_its_key(key: str | None, path: str) -> None:
    """An opaque key is encoded whole; the first page has none."""
    call = image_page(key)

    assert (call.kind, call.method, call.body) == (Kind.PAGE, "GET", None)
    assert call.path == path
    assert call.paid is False
    assert len(call.read(sample("documented-page")).images) == 2


def test_a_call_does_not_show_its_body() -> None:
    """The representation of a call holds no whole prompt."""
    call = IMAGES.submit(ImageRequest("fox " * 100))

    assert "fox " * 100 not in repr(call)
