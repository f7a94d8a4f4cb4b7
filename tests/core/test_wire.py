"""Bytes become models, or one of our errors, whatever the service sends."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictory_async._core import wire as _json
from pictory_async._core.decode import generated_image
from pictory_async._core.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    InvalidRequestError,
    InvalidResponseError,
    JobExpiredError,
    JobFailedError,
    JobNotFoundError,
    NotFoundError,
    PermissionDeniedError,
    PictoryError,
    RateLimitedError,
    ServerError,
)
from pictory_async._core.models import GeneratedImage, ImageRequest, JobState
from pictory_async._core.wire import (
    Answer,
    JobReport,
    encode_request,
    error_for,
    read_job,
    read_page,
    read_submission,
)
from tests.samples import NAMES, sample

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


JOB = "4d82d040-4394-4371-867d-72ae1dd62b6d"
URL = (
    "https://example.cloudfront.net/images/user/a1b2c3d4-e5f6-7890-abcd-ef1234567890/"
    "c3d4e5f6-a7b8-9012-cdef-345678901234.png"
)
REQUEST = ImageRequest("A fox in the snow", model="flux-schnell")


def read_image_job(
    answer: Answer, *, job_id: str, request: ImageRequest | None = None
) -> JobReport[GeneratedImage]:
    """Read the answer to a poll of an image's job."""
    read_result = partial(generated_image, job_id=job_id, request=request)
    return read_job(answer, job_id=job_id, read_result=read_result)


# One reader for each endpoint, from an answer to whatever it gives.
READERS: dict[str, Callable[[Answer], Any]] = {
    "submission": read_submission,
    "job": lambda answer: read_image_job(answer, job_id=JOB),
    "page": read_page,
}
every_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


def answer_with(payload: object, status: int = 200) -> Answer:
    """Return an answer whose body is *payload* as JSON."""
    return Answer(status=status, body=json.dumps(payload).encode())


class TestRequests:
    def test_only_what_was_named_is_sent(self) -> None:
        """What was left open is left out, so that the service chooses."""
        assert encode_request(ImageRequest("A fox")) == b'{"prompt": "A fox"}'

    def test_every_field_has_its_wire_name(self) -> None:
        """The documented names are used, and extra fields stand beside them."""
        request = ImageRequest(
            "A fox",
            model="nanobanana",
            aspect_ratio="16:9",
            style="cartoon",
            reference_image_url="https://cdn.example/a.png",
            webhook="https://hooks.example/x",
            extra={"seed": 7, "aspect_ratio": None},
        )

        assert json.loads(encode_request(request)) == {
            "prompt": "A fox",
            "model": "nanobanana",
            "aspectRatio": "16:9",
            "style": "cartoon",
            "referenceImageUrl": "https://cdn.example/a.png",
            "webhook": "https://hooks.example/x",
            "seed": 7,
            "aspect_ratio": None,
        }

    def test_the_body_is_utf_8(self) -> None:
        """Text goes out as it is, not as escapes."""
        body = encode_request(ImageRequest('Füchse "🦊"\n'))

        assert body == '{"prompt": "Füchse \\"🦊\\"\\n"}'.encode()

    @pytest.mark.parametrize(
        "name",
        ["prompt", "model", "aspectRatio", "style", "referenceImageUrl", "webhook"],
    )
    def test_extra_may_not_name_a_documented_field(self, name: str) -> None:
        """There is one way to set a documented field: its argument."""
        with pytest.raises(InvalidRequestError) as caught:
            encode_request(ImageRequest("A fox", extra={name: "x"}))

        assert caught.value.field == "extra"
        assert caught.value.reason == (
            f"'{name}' is a documented field: use the argument for it"
        )

    @pytest.mark.parametrize(
        "value",
        [
            {1, 2},
            b"x",
            pytest.param(object(), id="object"),
            float("nan"),
            float("inf"),
            "\ud800",
            {"a": Decimal(1)},
            {(1, 2): 3},
        ],
        ids=repr,
    )
    def test_extra_must_be_json(self, value: object) -> None:
        """What JSON cannot hold is found before anything is sent."""
        with pytest.raises(InvalidRequestError, match="must be JSON") as caught:
            encode_request(ImageRequest("A fox", extra={"seed": value}))

        assert caught.value.field == "extra"

    def test_extra_without_end_is_refused(self) -> None:
        """A value that contains itself, or is too deep, is not JSON."""
        circle: list[object] = []
        circle.append(circle)
        deep: object = None
        for _ in range(100_000):
            deep = [deep]

        for value in (circle, deep):
            with pytest.raises(InvalidRequestError, match="must be JSON"):
                encode_request(ImageRequest("A fox", extra={"seed": value}))


class TestSubmissions:
    @pytest.mark.parametrize(
        "name",
        [
            "documented-submitted",
            "submitted-job-id-in-data",
            "submitted-job-id-at-top",
            "submitted-legacy-both",
        ],
    )
    @pytest.mark.parametrize("status", [200, 201, 202])
    def test_the_job_id_is_found_in_every_known_place(
        self, name: str, status: int
    ) -> None:
        """Any 2xx with a job id means that the job was created."""
        assert read_submission(attrs.evolve(sample(name), status=status)) == JOB

    def test_the_documented_place_comes_first(self) -> None:
        """Where two ids are given, the documented one counts."""
        payload = {"jobId": "d", "job_id": "c", "data": {"job_id": "b", "jobId": "a"}}

        assert read_submission(answer_with(payload)) == "a"

    def test_a_number_is_an_id(self) -> None:
        """A numeric id is accepted: it is no reason to lose a paid job."""
        assert read_submission(answer_with({"data": {"jobId": 12345}})) == "12345"

    @pytest.mark.parametrize("bad", [None, "", "  ", 7.5, True, ["a"], {"a": 1}])
    def test_an_id_of_another_kind_is_no_id(self, bad: object) -> None:
        """A null or number never becomes the text of an id."""
        with pytest.raises(InvalidResponseError) as caught:
            read_submission(answer_with({"success": True, "data": {"jobId": bad}}))

        assert (caught.value.where, caught.value.why) == (
            "$.data.jobId",
            "expected a job id",
        )

    def test_success_without_an_id_leaves_it_open(self) -> None:
        """A 2xx without an id is unreadable, not refused: the job may exist."""
        answer = attrs.evolve(
            sample("submitted-without-id"), method="POST", path="/v1/aistudio/images"
        )

        with pytest.raises(InvalidResponseError) as caught:
            read_submission(answer)

        assert str(caught.value) == (
            "cannot read the answer to POST /v1/aistudio/images (200): expected a job "
            "id @ $.data.jobId"
        )

    @pytest.mark.parametrize(
        ("name", "code", "message"),
        [
            (
                "submission-refused-in-200",
                "INSUFFICIENT_CREDITS",
                "Not enough AI credits.",
            ),
            ("documented-error-legacy", "890", "Error Message"),
        ],
    )
    def test_success_false_is_a_refusal(
        self, name: str, code: str, message: str
    ) -> None:
        """A 200 that says success is false created nothing."""
        with pytest.raises(APIError) as caught:
            read_submission(attrs.evolve(sample(name), status=200))

        assert type(caught.value) is APIError
        assert (caught.value.code, caught.value.message) == (code, message)
        assert caught.value.status == 200

    def test_success_false_without_a_word_is_a_refusal(self) -> None:
        """Nothing more than the field "success" is necessary."""
        with pytest.raises(APIError) as caught:
            read_submission(answer_with({"success": False}))

        assert (caught.value.code, caught.value.message) == (None, None)


def job(name: str) -> Any:
    """Return what the answer stored under *name* says of the job."""
    return read_image_job(sample(name), job_id=JOB, request=REQUEST)


class TestJobs:
    @pytest.mark.parametrize(
        ("name", "state"),
        [
            ("documented-job-in-progress", "in-progress"),
            ("job-render-in-progress", "in-progress"),
            ("job-data-is-text", "in-progress"),
            ("job-unknown-word", "paused"),
        ],
    )
    def test_a_job_may_still_run(self, name: str, state: str) -> None:
        """In progress, or in an unknown state, there is no result and no error."""
        report = job(name)

        assert (report.state, report.result, report.error) == (state, None, None)

    def test_success_does_not_count_where_there_is_a_state(self) -> None:
        """The state counts more than the field "success"."""
        payload = {"success": False, "data": {"status": "in-progress"}}

        report = read_image_job(answer_with(payload), job_id=JOB)

        assert (report.state, report.error) == (JobState.IN_PROGRESS, None)

    @pytest.mark.parametrize(
        ("name", "width", "height", "used"),
        [
            ("job-completed", 1280, 720, Decimal(2)),
            ("job-completed-fractional-credits", 1024, 1024, Decimal("0.6")),
            ("job-completed-numbers-as-text", 1280, 720, Decimal("0.6")),
            ("job-completed-integral-floats", 1280, 720, Decimal(14)),
            ("job-completed-nulls", None, None, None),
            ("job-completed-url-only", None, None, None),
            ("job-completed-without-status", 1280, 720, None),
        ],
    )
    def test_a_finished_job_gives_its_picture(
        self, name: str, width: int | None, height: int | None, used: Decimal | None
    ) -> None:
        """The image is read, whatever form its numbers have, or without them."""
        report = job(name)

        assert (report.state, report.error) == (JobState.COMPLETED, None)
        image = report.result
        assert (image.job_id, image.url, image.request) == (JOB, URL, REQUEST)
        assert (image.width, image.height, image.credits_used) == (width, height, used)
        assert image.extra == {}

    def test_newer_fields_of_a_picture_are_kept(self) -> None:
        """Fields that this release does not know stand in extra."""
        assert job("job-completed-newer-fields").result.extra == {
            "seed": 7,
            "thumbnailImageUrl": "https://example.cloudfront.net/t.jpg",
        }

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_numbers_that_json_does_not_know_are_kept_aside(self, number: str) -> None:
        """An unreadable number does not lose the image."""
        body = '{"data": {"status": "completed", "url": "%s", "width": %s}}'
        answer = Answer(status=200, body=(body % (URL, number)).encode())

        image = read_image_job(answer, job_id=JOB).result

        assert image is not None
        assert image.width is None
        assert list(image.extra) == ["width"]

    def test_a_huge_number_is_kept_aside(self) -> None:
        """An integer of 400 digits is no width."""
        payload = {"data": {"status": "completed", "url": URL, "width": 10**400}}

        image = read_image_job(answer_with(payload), job_id=JOB).result

        assert image is not None
        assert (image.width, image.extra) == (None, {"width": 10**400})

    @pytest.mark.parametrize(
        "url",
        [
            None,
            "",
            7,
            ["https://cdn.example/a.png"],
            "a.png",
            "/a.png",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://cdn.example/\ud800",
        ],
    )
    def test_a_picture_without_a_usable_url_is_not_there_yet(self, url: object) -> None:
        """A completed job without an http(s) URL is an answer that cannot be read."""
        with pytest.raises(InvalidResponseError) as caught:
            read_image_job(
                answer_with({"data": {"status": "completed", "url": url}}), job_id=JOB
            )

        assert (caught.value.where, caught.value.why) == (
            "$.data.url",
            "expected an http(s) URL",
        )

    def test_a_picture_without_a_url_at_all_is_not_there_yet(self) -> None:
        """A missing URL is as bad as a null one."""
        with pytest.raises(InvalidResponseError, match=r"@ \$\.data\.url"):
            read_image_job(answer_with({"data": {"status": "completed"}}), job_id=JOB)
        with pytest.raises(InvalidResponseError, match=r"@ \$\.data\.url"):
            job("job-completed-null-url")

    @pytest.mark.parametrize(
        ("name", "code", "message"),
        [
            (
                "job-failed",
                "TEXT_TO_VIDEO_FAILED",
                "The AI voice speaker [Timm] is invalid...",
            ),
            (
                "job-failed-insufficient-credits",
                "INSUFFICIENT_CREDITS",
                "insufficient AI credits",
            ),
            (
                "job-failed-without-status",
                "GENERATION_FAILED",
                "The provider refused the prompt.",
            ),
            ("job-failed-without-cause", None, None),
            ("documented-error-legacy", "890", "Error Message"),
        ],
    )
    def test_a_failed_job_gives_its_cause(
        self, name: str, code: str | None, message: str | None
    ) -> None:
        """Code and message are found wherever they stand."""
        answer = attrs.evolve(sample(name), status=200)
        report = read_image_job(answer, job_id=JOB)

        assert (report.state, report.result) == (JobState.FAILED, None)
        assert type(report.error) is JobFailedError
        assert (report.error.code, report.error.message) == (code, message)
        assert report.error.job_id == JOB

    def test_a_cleaned_job_has_expired(self) -> None:
        """A job whose data was cleaned is an error of its own."""
        report = job("job-cleaned")

        assert (report.state, report.result) == (JobState.CLEANED, None)
        assert type(report.error) is JobExpiredError
        assert report.error.job_id == JOB

    @pytest.mark.parametrize(
        "name",
        [
            "job-not-found",
            "job-not-found-empty",
            "job-not-found-html",
            "job-not-found-200",
            "job-not-found-200-number",
            "job-not-found-200-message-only",
            "job-not-found-200-in-error",
            "job-not-found-200-at-top",
        ],
    )
    def test_an_unknown_job_is_not_found(self, name: str) -> None:
        """Every documented form of "not found" leads to the same report."""
        report = job(name)

        assert (report.state, report.result) == (JobState.IN_PROGRESS, None)
        assert type(report.error) is JobNotFoundError
        assert report.error.job_id == JOB

    @pytest.mark.parametrize(
        "data",
        [
            {"error_code": "5000"},
            {"error_code": 5000},
            {"error_code": "JOB_NOT_FOUND"},
            {"error_message": "JOB_NOT_FOUND"},
            {"code": "X", "message": "JOB_NOT_FOUND"},
        ],
    )
    def test_either_code_means_not_found(self, data: dict[str, Any]) -> None:
        """The code may be text or a number, and may be alone."""
        for payload in (
            {"success": False, "data": data},
            {"success": False, "error": data},
            {"success": False} | data,
        ):
            report = read_image_job(answer_with(payload), job_id=JOB)
            assert type(report.error) is JobNotFoundError

    def test_a_404_is_not_found_even_if_cut(self) -> None:
        """The body of a 404 does not matter."""
        answer = Answer(status=404, body=b"\xff", cut=True)

        assert type(read_image_job(answer, job_id=JOB).error) is JobNotFoundError

    @pytest.mark.parametrize(
        "payload",
        [
            {},
            {"success": True},
            {"success": True, "data": {}},
            {"success": True, "data": None},
            {"success": True, "data": []},
            {"success": True, "data": ""},
            {"success": True, "data": {"status": None}},
            {"success": True, "data": {"status": ""}},
            {"success": True, "data": {"status": 7, "url": "a.png"}},
            {"success": None, "data": {"error_code": "5000"}},
            {"success": "false"},
            {"data": {"url": URL}},
            {"message": "OK"},
        ],
    )
    def test_an_answer_without_a_state_cannot_be_read(self, payload: object) -> None:
        """An answer without state, refusal or image is unreadable."""
        with pytest.raises(InvalidResponseError) as caught:
            read_image_job(answer_with(payload), job_id=JOB)

        assert (caught.value.where, caught.value.why) == (
            "$.data.status",
            "expected a status",
        )

    def test_a_legacy_job_of_another_kind_cannot_be_read(self) -> None:
        """A finished storyboard is not an image."""
        with pytest.raises(InvalidResponseError, match=r"@ \$\.data\.status"):
            job("job-legacy-storyboard")


class TestPages:
    def test_the_documented_page_is_read(self) -> None:
        """Two images and the key of the next page stand in the documented example."""
        page = read_page(sample("documented-page"))

        assert page.next_page_key == "eyJwYXJ0aXRpb25LZXkiOiJ1c2VyI..."
        first, second = page.images
        assert (first.id, first.url) == ("c3d4e5f6-a7b8-9012-cdef-345678901234", URL)
        assert first.prompt == (
            "A modern workspace with an open laptop on a clean desk, illuminated by "
            "warm daylight from a nearby window"
        )
        assert (first.model, first.aspect_ratio) == ("nanobanana", "16:9")
        assert (first.width, first.height) == (1024, 1024)
        assert str(first.created_at) == "2026-04-04 06:03:38.665000+00:00"
        assert first.style == "photorealistic"
        assert first.reference_image_url is not None
        assert first.reference_image_url.endswith(
            "/b2c3d4e5-f6a7-8901-bcde-234567890123.png"
        )
        assert (second.style, second.reference_image_url) == (None, None)
        assert first.extra == second.extra == {}

    @pytest.mark.parametrize(
        ("name", "images"),
        [
            ("documented-page-empty", 0),
            ("page-last", 1),
            ("page-key-null", 1),
            ("page-key-empty", 1),
        ],
    )
    def test_the_last_page_has_no_key(self, name: str, images: int) -> None:
        """An absent, null or empty key ends the history."""
        page = read_page(sample(name))

        assert (len(page.images), page.next_page_key) == (images, None)

    @pytest.mark.parametrize("key", [7, True, ["a"], {"a": 1}])
    def test_a_key_of_another_kind_is_refused(self, key: object) -> None:
        """A page whose key cannot be sent is unreadable, not the last."""
        with pytest.raises(InvalidResponseError) as caught:
            read_page(answer_with({"items": [], "nextPageKey": key}))

        assert (caught.value.where, caught.value.why) == (
            "$.nextPageKey",
            "expected a string",
        )

    @pytest.mark.parametrize(
        ("items", "where", "why"),
        [
            (None, "$.items", "expected an array"),
            ({}, "$.items", "expected an array"),
            ("[]", "$.items", "expected an array"),
            ([None], "$.items[0]", "expected an object"),
            ([{"id": "a", "url": URL}, {"url": URL}], "$.items[1].id", None),
            ([{"id": "a", "url": URL}, {"id": "b"}], "$.items[1].url", None),
            ([{"id": "a", "url": None}], "$.items[0].url", None),
            ([{"id": 7, "url": URL}], "$.items[0].id", None),
        ],
    )
    def test_the_place_of_a_problem_is_named(
        self, items: object, where: str, why: str | None
    ) -> None:
        """The error leads to the first item that cannot be read."""
        with pytest.raises(InvalidResponseError) as caught:
            read_page(answer_with({"items": items}))

        assert caught.value.where == where
        assert caught.value.why == (why or "expected a non-empty string")

    def test_a_stored_page_with_a_bad_item_names_it(self) -> None:
        """The second item has no URL."""
        with pytest.raises(InvalidResponseError) as caught:
            read_page(sample("page-bad-item"))

        assert caught.value.where == "$.items[1].url"

    def test_an_unreadable_date_is_kept(self) -> None:
        """The image stays, without a date, which stands in extra as it came."""
        (image,) = read_page(sample("page-date-unreadable")).images

        assert image.created_at is None
        assert image.extra == {"createdDate": "yesterday"}

    @pytest.mark.parametrize(
        ("date", "expected"),
        [
            ("2026-04-04T06:03:38+02:00", "2026-04-04 04:03:38+00:00"),
            ("2026-04-04T06:03:38", "2026-04-04 06:03:38+00:00"),
        ],
    )
    def test_dates_come_out_in_utc(self, date: str, expected: str) -> None:
        """An offset is taken into account; without one the time is UTC."""
        item = {"id": "a", "url": URL, "createdDate": date}

        page = read_page(answer_with({"items": [item]}))
        assert str(page.images[0].created_at) == expected

    def test_success_false_is_a_refusal(self) -> None:
        """A page that is an error in a 200 is reported as the error it is."""
        with pytest.raises(APIError) as caught:
            read_page(attrs.evolve(sample("documented-error-legacy"), status=200))

        assert (caught.value.code, caught.value.message) == ("890", "Error Message")


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "cls", "code", "message", "from_api"),
        [
            (
                "documented-unauthorized",
                AuthenticationError,
                None,
                "Unauthorized",
                True,
            ),
            (
                "error-oauth",
                AuthenticationError,
                "UNAUTHORIZED",
                "Invalid client",
                True,
            ),
            (
                "error-invalid-body",
                BadRequestError,
                "INVALID_REQUEST_BODY",
                "Invalid request body.",
                True,
            ),
            (
                "error-invalid-request",
                BadRequestError,
                "INVALID_REQUEST",
                "month is required when year is provided",
                True,
            ),
            ("documented-error-legacy", BadRequestError, "890", "Error Message", True),
            (
                "error-insufficient-credits",
                APIError,
                "INSUFFICIENT_CREDITS",
                "Not enough AI credits.",
                True,
            ),
            ("error-forbidden", PermissionDeniedError, None, "Forbidden", True),
            (
                "error-missing-token",
                PermissionDeniedError,
                None,
                "Missing Authentication Token",
                True,
            ),
            ("error-cloudflare-text", PermissionDeniedError, None, None, False),
            ("error-cloudflare-html", PermissionDeniedError, None, None, False),
            ("job-not-found", NotFoundError, "5000", "JOB_NOT_FOUND", True),
            ("job-not-found-empty", NotFoundError, None, None, False),
            ("job-not-found-html", NotFoundError, None, None, False),
            ("error-too-long", APIError, None, "Request Too Long", True),
            ("error-throttled", RateLimitedError, None, "Too Many Requests", True),
            ("error-limit-exceeded", RateLimitedError, None, "Limit Exceeded", True),
            (
                "error-throttled-retry-after",
                RateLimitedError,
                None,
                "Too Many Requests",
                True,
            ),
            ("error-throttled-cloudflare", RateLimitedError, None, None, False),
            ("error-internal", ServerError, None, "Internal server error", True),
            ("error-internal-empty", ServerError, None, None, False),
            ("error-internal-html", ServerError, None, None, False),
            ("error-bad-gateway", ServerError, None, "Internal server error", True),
            ("error-bad-gateway-html", ServerError, None, None, False),
            ("error-unavailable", ServerError, None, "Service Unavailable", True),
            (
                "error-gateway-timeout",
                ServerError,
                None,
                "Endpoint request timed out",
                True,
            ),
            ("redirect", APIError, None, None, False),
        ],
    )
    def test_every_known_refusal_becomes_its_error(
        self,
        name: str,
        cls: type[APIError],
        code: str | None,
        message: str | None,
        *,
        from_api: bool,
    ) -> None:
        """The class follows the status; code and message are found in every form."""
        answer = attrs.evolve(sample(name), method="GET", path="/v1/x")
        error = error_for(answer)

        assert type(error) is cls
        assert (error.code, error.message) == (code, message)
        assert error.from_api is from_api
        assert (error.method, error.path) == ("GET", "/v1/x")
        assert (error.status, error.retry_after) == (answer.status, answer.retry_after)
        assert error.body == answer.body.decode()

    @pytest.mark.parametrize(
        "name", [name for name in NAMES if sample(name).status >= 300]
    )
    def test_no_stored_refusal_is_taken_for_a_success(self, name: str) -> None:
        """Every stored answer outside 2xx is raised as the error it stands for."""
        for read in (read_submission, read_page):
            with pytest.raises(APIError) as caught:
                read(sample(name))
            assert type(caught.value) is type(error_for(sample(name)))

    @every_reader
    @pytest.mark.parametrize("status", [100, 199, 300, 302, 304, 400, 418, 500, 999])
    def test_every_reader_refuses_other_statuses(
        self, read: Callable[[Answer], Any], status: int
    ) -> None:
        """A status outside 2xx is an error whatever the body says."""
        good = {"success": True, "data": {"jobId": "a", "status": "in-progress"}}

        with pytest.raises(APIError) as caught:
            read(answer_with(good | {"items": []}, status))

        assert caught.value.status == status

    @pytest.mark.parametrize(
        ("status", "cls"),
        [
            (302, APIError),
            (402, APIError),
            (408, APIError),
            (422, APIError),
            (500, ServerError),
            (503, ServerError),
            (599, ServerError),
            (600, APIError),
            (999, APIError),
        ],
    )
    def test_other_statuses_have_the_class_of_their_kind(
        self, status: int, cls: type[APIError]
    ) -> None:
        """What has no class of its own is a plain APIError or a ServerError."""
        assert type(error_for(Answer(status=status, body=b""))) is cls

    def test_refused_fields_are_listed(self) -> None:
        """A field's errors may be one text or several."""
        assert error_for(sample("error-invalid-body")).fields == {
            "prompt": ("must be at least 5 characters",),
            "aspectRatio": ("is not supported", "is not a ratio"),
        }

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            (None, {}),
            ("prompt", {}),
            ({"name": "prompt"}, {}),
            ([None, 7, "prompt", [], {}], {}),
            ([{"errors": "too short"}], {}),
            ([{"name": 7, "errors": "too short"}], {}),
            ([{"name": "prompt"}], {"prompt": ()}),
            ([{"name": "prompt", "errors": None}], {"prompt": ()}),
            ([{"name": "prompt", "errors": {"a": 1}}], {"prompt": ()}),
            ([{"name": "prompt", "errors": ["a", 7, None]}], {"prompt": ("a",)}),
            ([{"name": "n" * 600, "errors": "e" * 600}], {"n" * 512: ("e" * 512,)}),
        ],
    )
    def test_fields_of_another_form_are_passed_over(
        self, fields: object, expected: dict[str, tuple[str, ...]]
    ) -> None:
        """What does not name a field and its errors is left to the body."""
        error = error_for(answer_with({"code": "X", "fields": fields}, 400))
        assert error.fields == expected

    @pytest.mark.parametrize(
        ("payload", "code", "message"),
        [
            ({"code": "C", "message": "M"}, "C", "M"),
            ({"error_code": "C", "error_message": "M"}, "C", "M"),
            ({"data": {"error_code": 5, "error_message": "M"}}, "5", "M"),
            ({"error": {"code": 0, "message": "M"}}, "0", "M"),
            ({"error": "M"}, None, "M"),
            ({"data": {"error": "M"}}, None, "M"),
            ({"message": "M", "error": "other"}, None, "M"),
            ({"message": "top", "data": {"error_message": "in data"}}, None, "top"),
            ({"code": True, "message": ""}, None, None),
            ({"code": 1.5, "message": ["M"]}, None, None),
            ({"code": None, "error_code": "C"}, "C", None),
            ({"message": "M" * 600}, None, "M" * 512),
            ({}, None, None),
            ([], None, None),
            ("M", None, None),
            (None, None, None),
        ],
    )
    def test_code_and_message_are_found_in_every_form(
        self, payload: object, code: str | None, message: str | None
    ) -> None:
        """Top level, data and error are searched in this order."""
        error = error_for(answer_with(payload, 400))

        assert (error.code, error.message) == (code, message)
        assert error.from_api is bool(code or message)

    def test_a_page_of_a_firewall_does_not_blame_the_key(self) -> None:
        """A 403 that the API did not write says nothing about the key."""
        for name in ("error-cloudflare-text", "error-cloudflare-html"):
            text = str(error_for(sample(name)))
            assert "Check" not in text
            assert "says nothing about the API key" in text

    def test_a_body_is_cut_by_characters(self) -> None:
        """At most 512 characters are kept, and no character is halved."""
        assert error_for(Answer(status=500, body=b"x" * 9999)).body == "x" * 512
        assert (
            error_for(Answer(status=500, body="🦊".encode() * 600)).body == "🦊" * 512
        )
        assert error_for(Answer(status=500, body=b"\xffx")).body == "\ufffdx"


DEEP = b"[" * 100_000 + b"]" * 100_000


class TestUnreadableBodies:
    @every_reader
    @pytest.mark.parametrize(
        ("body", "why"),
        [
            (b"", "expected JSON ("),
            (b"   ", "expected JSON ("),
            (b"OK", "expected JSON ("),
            (b"<!DOCTYPE html><html></html>", "expected JSON ("),
            (b'{"success": tru', "expected JSON ("),
            (b'{"success": true} trailing', "expected JSON ("),
            (b'{"data": "\xff\xfe"}', "expected JSON ("),
            (b"\x00", "expected JSON ("),
            (b"\x00\x00\x00", "expected JSON ("),
            (DEEP, "expected JSON ("),
            (b'{"data": ' + DEEP + b"}", "expected JSON ("),
            (b'{"data": ' + b"9" * 5000 + b"}", "expected JSON ("),
            (b"[]", "expected an object"),
            (b'"text"', "expected an object"),
            (b"null", "expected an object"),
            (b"NaN", "expected an object"),
            (b"7", "expected an object"),
        ],
        ids=lambda value: repr(value[:20]),
    )
    def test_what_is_no_json_object_cannot_be_read(
        self, read: Callable[[Answer], Any], body: bytes, why: str
    ) -> None:
        """The error says what was expected, and keeps the beginning of the body."""
        with pytest.raises(InvalidResponseError) as caught:
            read(Answer(status=200, body=body, method="GET", path="/v1/x"))

        error = caught.value
        assert error.why.startswith(why)
        assert (error.where, error.status) == ("$", 200)
        assert (error.method, error.path) == ("GET", "/v1/x")
        assert error.body == body[:512].decode("utf-8", "replace")
        assert error.__suppress_context__ is (why != "expected an object")

    @every_reader
    def test_a_body_that_was_cut_is_not_guessed_at(
        self, read: Callable[[Answer], Any]
    ) -> None:
        """Even if its beginning is JSON, an answer that was cut is unreadable."""
        with pytest.raises(InvalidResponseError) as caught:
            read(Answer(status=200, body=b'{"a": 1}' + b" " * 9992, cut=True))

        assert caught.value.why == "larger than 10,000 bytes"
        assert caught.value.body == '{"a": 1}' + " " * 504

    @pytest.mark.parametrize("prefix", [b"\xef\xbb\xbf", b" \r\n\t"])
    def test_a_mark_or_blanks_in_front_are_no_harm(self, prefix: bytes) -> None:
        """A byte order mark does not make JSON unreadable."""
        answer = sample("documented-job-in-progress")
        report = read_image_job(
            attrs.evolve(answer, body=prefix + answer.body), job_id=JOB
        )

        assert report.state == JobState.IN_PROGRESS

    @pytest.mark.parametrize("body", [b"", b"\xff", b"<html>", DEEP, b"9" * 5000])
    def test_a_refusal_with_any_body_is_a_refusal(self, body: bytes) -> None:
        """What cannot be read of an error does not hide the error."""
        error = error_for(Answer(status=500, body=body))

        assert type(error) is ServerError
        assert (error.code, error.message, error.from_api) == (None, None, False)


# What may stand where, so that arbitrary JSON gets beyond the first look.
NAMED = st.sampled_from([
    "success", "data", "status", "url", "jobId", "job_id", "items", "nextPageKey",
    "id", "createdDate", "width", "aiCreditsUsed", "code", "message", "fields",
    "name", "errors", "error", "error_code", "error_message",
])  # fmt: skip
WORDS = st.sampled_from([
    "completed",
    "failed",
    "cleaned",
    "5000",
    URL,
    "JOB_NOT_FOUND",
])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | WORDS
    | st.text(st.characters(), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(NAMED | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=20,
)
STATUS = st.sampled_from([200, 201, 302, 400, 401, 403, 404, 429, 500, 503, 999])


def only_our_errors(answer: Answer) -> None:
    """Read *answer* in every way, and let only errors of the package pass."""
    for read in READERS.values():
        found: object
        try:
            found = read(answer)
        except PictoryError as error:
            found = error
        assert str(found)
        assert repr(found)
    assert isinstance(error_for(answer), APIError)


class TestAnything:
    @unhurried
    @given(body=st.binary(max_size=200), status=STATUS, cut=st.booleans())
    def test_arbitrary_bytes_give_our_errors(
        self, body: bytes, status: int, *, cut: bool
    ) -> None:
        """No bytes make a reader raise what is not ours."""
        only_our_errors(Answer(status=status, body=body, cut=cut))

    @unhurried
    @given(payload=JSON, status=STATUS)
    def test_arbitrary_json_gives_our_errors(
        self, payload: object, status: int
    ) -> None:
        """No JSON value makes a reader raise what is not ours."""
        only_our_errors(answer_with(payload, status))

    @unhurried
    @given(
        payload=st.fixed_dictionaries(
            {},
            optional={
                "success": st.booleans() | JSON,
                "data": st.dictionaries(NAMED, JSON, max_size=6) | JSON,
                "items": st.lists(st.dictionaries(NAMED, JSON, max_size=6), max_size=3),
                "nextPageKey": JSON,
                "error": JSON,
                "fields": JSON,
            },
        )
    )
    def test_arbitrary_fields_give_our_errors(self, payload: dict[str, object]) -> None:
        """No value of a known field makes a reader raise what is not ours."""
        only_our_errors(answer_with(payload))

    @pytest.mark.parametrize("name", NAMES)
    def test_every_stored_answer_can_be_read_in_every_way(self, name: str) -> None:
        """An answer at the wrong endpoint is an error of ours."""
        only_our_errors(sample(name))

    @unhurried
    @given(
        prompt=st.text(min_size=5, max_size=50).filter(str.strip),
        style=st.none() | st.just("cartoon"),
        extra=st.dictionaries(
            st.text(max_size=5).map("x".__add__),
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            max_size=3,
        ),
    )
    def test_a_request_survives_as_json(
        self, prompt: str, style: str | None, extra: dict[str, object]
    ) -> None:
        """The body is JSON of exactly the fields of the request."""
        body = encode_request(ImageRequest(prompt, style=style, extra=extra))

        named = {"prompt": prompt} | ({"style": style} if style else {})
        assert json.loads(body) == named | extra


# --- JSON from bytes

ODD = [
    b'{"a": NaN, "b": [Infinity, -Infinity]}',
    b'"\\ud800"',
    b'\xef\xbb\xbf{"a": 1}',
    '{"a": "ä"}'.encode("utf-16"),
    b'{"a": 1, "a": 2}',
    b'{"a": 0.6, "b": 1e300, "c": -0.0, "d": 12345678901234567}',
    b"[" * 900 + b"]" * 900,
]


@pytest.fixture(params=["with orjson", "without"])
def library(request: pytest.FixtureRequest) -> Iterator[str]:
    """Read with orjson, or as if it were not installed."""
    _json._orjson_loads.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "without":
            patch.setitem(sys.modules, "orjson", None)
        assert (_json._orjson_loads() is None) == (request.param == "without")
        yield request.param
    _json._orjson_loads.cache_clear()


@pytest.mark.parametrize("raw", ODD, ids=range(len(ODD)))
def test_odd_json_is_read_the_same(library: str, raw: bytes) -> None:
    """What only the standard library takes is taken with both."""
    assert library
    assert repr(_json.loads(raw)) == repr(json.loads(raw))


@pytest.mark.parametrize("raw", [b"", b"{", b"<html>", b"\xff\xfe\xfd", b"{'a': 1}"])
def test_what_is_no_json_is_refused_by_both(library: str, raw: bytes) -> None:
    """The error is a ValueError either way."""
    assert library
    with pytest.raises(ValueError, match=r".+"):
        _json.loads(raw)


def test_too_deep_is_refused_by_both(library: str) -> None:
    """A body that would exhaust the stack does not."""
    assert library
    with pytest.raises((ValueError, RecursionError)):
        _json.loads(b"[" * 200_000)


def plain(value: Any) -> bool:
    """Return whether a value is one that both libraries keep exactly."""
    return not isinstance(value, float) or math.isfinite(value)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats().filter(plain)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(value=values, ascii_only=st.booleans())
def test_any_value_is_read_the_same(value: Any, ascii_only: bool) -> None:
    """Both give equal values of equal types."""
    raw = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    results = list[object]()
    for fast in (True, False):
        _json._orjson_loads.cache_clear()
        with pytest.MonkeyPatch.context() as patch:
            if not fast:
                patch.setitem(sys.modules, "orjson", None)
            try:
                results.append(repr(_json.loads(raw)))
            except ValueError:
                results.append(ValueError)
    _json._orjson_loads.cache_clear()
    assert results[0] == results[1]
