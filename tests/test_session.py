"""The session as users call it."""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pictory_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    FixedInterval,
    GeneratedImage,
    ImageRequest,
    InvalidRequestError,
    JobTimeoutError,
    Limits,
    PermissionDeniedError,
    PictorySession,
    RateLimitedError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    SessionClosedError,
    SubmissionUnknownError,
)
from pictory_async.sandbox import Behavior, Fault, Sandbox

pytestmark = pytest.mark.looptime

PROMPT = "A lighthouse at dawn"
USER: ContextVar[str] = ContextVar("USER")


async def test_sends_what_was_asked_for(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Every option arrives under its documented name; what was left open does not."""
    await session.submit(PROMPT)
    await session.submit(
        PROMPT,
        model="nanobanana",
        aspect_ratio="9:16",
        style="cartoon",
        reference_image_url="https://example.com/a.png?x=1",
        webhook="http://127.0.0.1:9/hook",
    )
    assert list(sandbox.submitted) == [
        {"prompt": PROMPT},
        {
            "prompt": PROMPT,
            "model": "nanobanana",
            "aspectRatio": "9:16",
            "style": "cartoon",
            "referenceImageUrl": "https://example.com/a.png?x=1",
            "webhook": "http://127.0.0.1:9/hook",
        },
    ]
    headers = sandbox.requests[0].headers
    assert headers["Authorization"] == sandbox.api_key
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("pictory-async/")


async def test_options_override_the_request(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """An option beside an ImageRequest wins over its field."""
    request = ImageRequest(
        PROMPT, style="vintage", model="flux-schnell", extra={"n": 1}
    )
    job = await session.submit(request, style="cartoon")
    assert sandbox.requests[0].body == {
        "prompt": PROMPT,
        "style": "cartoon",
        "model": "flux-schnell",
        "n": 1,
    }
    assert job.request == ImageRequest(
        PROMPT, style="cartoon", model="flux-schnell", extra={"n": 1}
    )
    assert (await session.submit(request)).request is request


async def test_unicode_prompt_arrives_unharmed(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Any character of a prompt comes through."""
    prompt = 'Ein Leuchtturm, 灯台, منارة, 🗼 \n\t"quoted" \\ \u2028'
    await session.submit(prompt)
    assert sandbox.submitted[0]["prompt"] == prompt


@pytest.mark.parametrize(
    ("prompt", "options", "field"),
    [
        ("tiny", {}, "prompt"),
        ("x" * 5001, {}, "prompt"),
        ("      ", {}, "prompt"),
        (None, {}, "prompt"),
        (PROMPT, {"reference_image_url": "/local.png"}, "reference_image_url"),
        (PROMPT, {"webhook": "ftp://example.com"}, "webhook"),
        (PROMPT, {"model": ""}, "model"),
        (PROMPT, {"style": 3}, "style"),
    ],
)
async def test_bad_input_sends_nothing(
    session: PictorySession,
    sandbox: Sandbox,
    prompt: Any,
    options: dict[str, Any],
    field: str,
) -> None:
    """An invalid value is found before anything is sent; the error names the field."""
    for call in (session.submit, session.generate):
        with pytest.raises(InvalidRequestError) as caught:
            await call(prompt, **options)
        assert caught.value.field == field
        assert field in str(caught.value)
    assert sandbox.requests == []


async def test_undocumented_model_is_sent_and_the_service_judges(
    session: PictorySession, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning names the model that is meant; the 400 names the field."""
    with pytest.raises(BadRequestError) as caught:
        await session.submit(PROMPT, model="seedreem3.0")
    assert caught.value.status == 400
    assert caught.value.code == "INVALID_REQUEST_BODY"
    assert list(caught.value.fields) == ["model"]
    assert (caught.value.method, caught.value.path) == ("POST", "/v1/aistudio/images")
    assert sandbox.requests[0].body["model"] == "seedreem3.0"
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "'seedream3.0'" in warnings[0].getMessage()


async def test_wrong_key_is_an_authentication_error(sandbox: Sandbox) -> None:
    """A 401 says where to look, and not what the key was."""
    key = "pictai_wrong_and_fake"
    async with PictorySession(key, base_url=sandbox.base_url) as session:
        with pytest.raises(AuthenticationError) as caught:
            await session.generate(PROMPT)
    assert caught.value.message == "Unauthorized"
    assert "app.pictory.ai/api-access" in str(caught.value)
    assert key not in f"{caught.value} {caught.value!r} {session!r}"


@pytest.mark.parametrize("body", ["text", "html"])
async def test_403_of_a_proxy_is_not_reported_as_a_bad_key(body: Any) -> None:
    """A bot protection's page says nothing about the key, and the error says so."""
    behavior = Behavior(blocked_user_agents=("pictory-async",), blocked_body=body)
    async with (
        Sandbox(behavior=behavior) as sandbox,
        PictorySession(sandbox.api_key, base_url=sandbox.base_url) as session,
    ):
        with pytest.raises(PermissionDeniedError) as caught:
            await session.submit(PROMPT)
    assert not caught.value.from_api
    assert "says nothing about the API key" in str(caught.value)
    assert "1010" in caught.value.body


async def test_generate_gives_the_image(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """Submitting and waiting is one call."""
    image = await session.generate(PROMPT, aspect_ratio="9:16")
    assert isinstance(image, GeneratedImage)
    assert (image.width, image.height) == (720, 1280)
    assert sandbox.polls(image.job_id) == 2
    assert session.jobs == ()


async def test_300_concurrent_submits_give_300_images() -> None:
    """Everything is sent at the same time, and every image is a different one."""
    async with (
        Sandbox(duration=5, pictures=False) as sandbox,
        PictorySession(
            sandbox.api_key, base_url=sandbox.base_url, polling=FixedInterval(6)
        ) as session,
    ):
        prompts = [f"Lighthouse number {n}" for n in range(300)]
        images = await asyncio.gather(*(session.generate(p) for p in prompts))
        assert len({image.url for image in images}) == 300
        assert [i.request.prompt for i in images if i.request] == prompts
        assert len(sandbox.submitted) == 300
        assert sum(r.kind == "job" for r in sandbox.requests) == 300


async def test_generate_timeout_counts_from_the_call(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """The time for the submit is part of it; the job is polled on."""
    sandbox.add_fault(Fault.slow(4, on="submit"))
    began = asyncio.get_running_loop().time()
    with pytest.raises(JobTimeoutError) as caught:
        await session.generate(PROMPT, timeout=15)
    assert asyncio.get_running_loop().time() - began == pytest.approx(15, abs=0.01)
    assert caught.value.still_running
    (job,) = session.jobs
    assert job.job_id == caught.value.job_id
    await job


async def test_generate_timeout_before_the_answer_keeps_the_job(
    session: PictorySession, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """If the request was on the wire, it is finished and its job is kept."""
    sandbox.add_fault(Fault.slow(4, on="submit"))
    with pytest.raises(SubmissionUnknownError) as caught:
        await session.generate(PROMPT, timeout=2)
    assert isinstance(caught.value.cause, RequestTimeoutError)
    assert session.jobs == ()
    assert await session.reconcile(caught.value) is None
    await asyncio.sleep(3)
    (job,) = session.jobs
    assert f"job {job.job_id} was accepted after" in caplog.text
    assert "lighthouse" in caplog.text
    await job
    assert len(sandbox.submitted) == 1


async def test_attempt_s_own_timeout_is_told_as_it_is(sandbox: Sandbox) -> None:
    """The time-out of one attempt is not mistaken for that of the call."""

    class Nowhere(aiohttp.TCPConnector):
        async def connect(self, *_: Any, **__: Any) -> Any:
            await asyncio.Event().wait()

    async with (
        aiohttp.ClientSession(connector=Nowhere()) as http,
        PictorySession(
            sandbox.api_key,
            base_url=sandbox.base_url,
            http=http,
            request_timeout=2,
            retries=RetryPolicy(attempts=1),
        ) as session,
    ):
        with pytest.raises(RequestTimeoutError, match="within 2 s"):
            await session.generate(PROMPT, timeout=600)


async def test_brought_middleware_cannot_send_a_post_again(sandbox: Sandbox) -> None:
    """A retrying middleware of the user's session does not get a second payment."""

    async def retry(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        for _ in range(3):
            response = await handler(request)
            if response.status < 500:
                break
        return response

    sandbox.add_fault(Fault.answer(502, on="submit", handled=True, times=2))
    async with (
        aiohttp.ClientSession(middlewares=[retry]) as http,
        PictorySession(
            sandbox.api_key, base_url=sandbox.base_url, http=http
        ) as session,
    ):
        with pytest.raises(SubmissionUnknownError):
            await session.submit(PROMPT)
    assert len(sandbox.submitted) == 1


async def test_pool_of_a_brought_session_is_no_queue(sandbox: Sandbox) -> None:
    """A small connection pool limits the turns: no request waits in the pool."""
    sandbox.add_fault(Fault.slow(3, on="submit", times=None))
    connector = aiohttp.TCPConnector(limit_per_host=2)
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        PictorySession(
            sandbox.api_key, base_url=sandbox.base_url, http=http, request_timeout=5
        ) as session,
    ):
        jobs = await asyncio.gather(*(session.submit(PROMPT) for _ in range(40)))
    assert len(jobs) == len(sandbox.submitted) == 40


async def test_brought_session_with_credentials_is_a_configuration_error(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A netrc file that would replace the key is a clear error, immediately."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password fake\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with (
        aiohttp.ClientSession(trust_env=True) as http,
        PictorySession(
            sandbox.api_key, base_url=sandbox.base_url, http=http
        ) as session,
    ):
        for use in (session.submit(PROMPT), anext(session.history())):
            with pytest.raises(ConfigurationError, match="netrc"):
                await use
    assert sandbox.requests == []


async def test_background_work_is_not_done_in_a_caller_s_context(
    sandbox: Sandbox,
) -> None:
    """Polls carry nobody's context variables; a submit carries its caller's."""
    seen = list[tuple[str, str]]()

    async def note(_: Any, __: Any, params: aiohttp.TraceRequestStartParams) -> None:
        seen.append((params.method, USER.get("nobody")))

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(note)
    async with (
        aiohttp.ClientSession(trace_configs=[trace]) as http,
        PictorySession(
            sandbox.api_key,
            base_url=sandbox.base_url,
            http=http,
            polling=FixedInterval(10),
        ) as session,
    ):
        USER.set("Ann")
        await session.generate(PROMPT)
    assert seen == [("POST", "Ann"), ("GET", "nobody"), ("GET", "nobody")]


async def test_generate_timeout_before_it_is_sent_sends_nothing(
    sandbox: Sandbox,
) -> None:
    """If it was still waiting for its turn, nothing is sent."""
    sandbox.add_fault(Fault.slow(5, on="submit"))
    async with PictorySession(
        sandbox.api_key,
        base_url=sandbox.base_url,
        limits=Limits(concurrent_requests=1),
    ) as session:
        first = asyncio.create_task(session.submit(PROMPT))
        await asyncio.sleep(0.1)
        with pytest.raises(RequestTimeoutError) as caught:
            await session.generate("Another lighthouse", timeout=2)
        assert not caught.value.sent
        await (await first)
    assert [body["prompt"] for body in sandbox.submitted] == [PROMPT]


async def test_jobs_are_those_in_progress(session: PictorySession) -> None:
    """A handle is listed until it has ended."""
    jobs = [await session.submit(PROMPT) for _ in range(3)]
    assert list(session.jobs) == jobs
    assert "3 jobs in progress" in repr(session)
    await jobs[0]
    await session.drain()
    assert session.jobs == ()


async def test_drain_waits_until_nothing_is_in_progress(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """It returns when the last job has ended, failed or not, and if there is none."""
    await session.drain()
    sandbox.fail_next()
    jobs = [await session.submit(PROMPT) for _ in range(3)]
    await session.drain()
    assert all(job.done() for job in jobs)


async def test_drain_waits_for_submissions_that_nobody_waits_for(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A cancelled submit whose request is on the wire counts."""
    sandbox.add_fault(Fault.slow(4, on="submit"))
    task = asyncio.create_task(session.submit(PROMPT))
    await asyncio.sleep(1)
    task.cancel()
    await session.drain()
    assert [job.state for job in sandbox.jobs.values()] == ["completed"]


async def test_drain_gives_up_after_its_timeout(session: PictorySession) -> None:
    """It raises the built-in TimeoutError and stops nothing."""
    job = await session.submit(PROMPT)
    with pytest.raises(TimeoutError, match="1 jobs"):
        await session.drain(timeout=5)
    assert not job.done()
    await session.drain(timeout=60)


@pytest.mark.parametrize(
    "job_id", ["", "  ", "..", ".", "a\nb", None, 7, "\x00", "a\u2028b"]
)
async def test_hostile_job_id_is_refused(session: PictorySession, job_id: Any) -> None:
    """What cannot be an id is refused; nothing is sent."""
    with pytest.raises(InvalidRequestError) as caught:
        session.job(job_id)
    assert caught.value.field == "job_id"


async def test_job_id_cannot_leave_its_place_in_the_path(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """An id with slashes, dots and queries is one segment of the path."""
    job = session.job("../aistudio/images?x=1#y")
    await job.wait()
    (request,) = sandbox.requests
    assert request.path == "/pictoryapis/v1/jobs/../aistudio/images?x=1#y"
    assert request.query == {}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"request_timeout": 0}, "request_timeout"),
        ({"request_timeout": None}, "request_timeout"),
        ({"job_timeout": -5}, "job_timeout"),
        ({"job_timeout": "900"}, "job_timeout"),
    ],
)
def test_unusable_setting_names_itself(settings: dict[str, Any], field: str) -> None:
    """Settings are checked by the constructor."""
    with pytest.raises(InvalidRequestError) as caught:
        PictorySession("pictai_fake", **settings)
    assert caught.value.field == field


def test_needs_a_key() -> None:
    """Without a key the constructor says where one comes from."""
    with pytest.raises(ConfigurationError, match="PICTORY_API_KEY"):
        PictorySession()


def test_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and base URL come from the environment if they are not given."""
    monkeypatch.setenv("PICTORY_API_KEY", "pictai_fake")
    monkeypatch.setenv("PICTORY_API_BASE_URL", "https://example.com/api/")
    assert repr(PictorySession()) == (
        "<PictorySession https://example.com/api 0 jobs in progress>"
    )


async def test_throttled_submit_is_sent_again_after_the_wait(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A 429 created nothing: the same request goes out after Retry-After."""
    sandbox.add_fault(Fault.answer(429, on="submit", retry_after=7))
    await session.submit(PROMPT)
    first, second = (r.at for r in sandbox.requests)
    assert second - first == pytest.approx(7, abs=0.01)
    assert len(sandbox.submitted) == 1


async def test_too_long_a_retry_after_is_raised(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A wait of an hour is left to the caller; the error has its length."""
    sandbox.add_fault(Fault.answer(429, on="submit", retry_after=3600))
    with pytest.raises(RateLimitedError) as caught:
        await session.submit(PROMPT)
    assert caught.value.retry_after == 3600
    assert len(sandbox.requests) == 1


async def test_internal_error_is_retried_as_documented(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A 500 is retried, as documented; after five attempts it is raised."""
    sandbox.add_fault(Fault.answer(500, on="submit", times=4))
    await session.submit(PROMPT)
    assert len(sandbox.requests) == 5
    sandbox.add_fault(Fault.answer(500, on="submit", times=None))
    with pytest.raises(ServerError):
        await session.submit(PROMPT)
    assert len(sandbox.requests) == 10
    assert len(sandbox.submitted) == 1


async def test_attempts_of_one_mean_no_retry(sandbox: Sandbox) -> None:
    """With ``attempts=1`` the first failure is raised."""
    sandbox.add_fault(Fault.answer(500, on="submit"))
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, retries=RetryPolicy(attempts=1)
    ) as session:
        with pytest.raises(ServerError):
            await session.submit(PROMPT)


async def test_refusal_with_200_created_nothing(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """``success: false`` without a job id is an APIError with code and message."""
    body = {"success": False, "error": {"error_code": 890, "error_message": "No"}}
    sandbox.add_fault(Fault.answer(200, on="submit", body=body))
    with pytest.raises(APIError) as caught:
        await session.submit(PROMPT)
    assert (caught.value.status, caught.value.code) == (200, "890")
    assert caught.value.message == "No"


async def test_redirect_is_not_followed(
    session: PictorySession, sandbox: Sandbox
) -> None:
    """A 3xx is an APIError: the key does not travel."""
    sandbox.add_fault(
        Fault.answer(307, on="submit", headers={"Location": f"{sandbox.base_url}/x"})
    )
    with pytest.raises(APIError) as caught:
        await session.submit(PROMPT)
    assert caught.value.status == 307
    assert len(sandbox.requests) == 1


async def test_closed_is_closed(sandbox: Sandbox) -> None:
    """Every use of a closed session raises, and closing again does nothing."""
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    await session.aclose()
    await session.aclose()
    image = GeneratedImage(job_id="a", url="https://example.com/a.png")
    for use in (
        session.submit(PROMPT),
        session.generate(PROMPT),
        session.generate(PROMPT, timeout=3),
        session.drain(),
        session.download(image, "x.png"),
        session.history().__anext__(),
        session.__aenter__(),
    ):
        with pytest.raises(SessionClosedError) as caught:
            await use
        assert caught.value.job_id is None
    with pytest.raises(SessionClosedError):
        session.job("a")
    assert "closed" in repr(session)


async def test_brought_session_is_used_and_not_closed(sandbox: Sandbox) -> None:
    """A user's own aiohttp session stays theirs, with its own settings."""
    async with aiohttp.ClientSession(
        raise_for_status=True, headers={"X-Mine": "1"}
    ) as http:
        async with PictorySession(
            sandbox.api_key, base_url=sandbox.base_url, http=http
        ) as session:
            with pytest.raises(BadRequestError):
                await session.submit(PROMPT, style="undocumented")
            await session.generate(PROMPT)
        assert not http.closed
    assert sandbox.requests[0].headers["X-Mine"] == "1"


async def test_brought_session_that_is_closed_is_a_configuration_error(
    sandbox: Sandbox,
) -> None:
    """Nothing is sent, and the error names the argument."""
    http = aiohttp.ClientSession()
    await http.close()
    async with PictorySession(
        sandbox.api_key, base_url=sandbox.base_url, http=http
    ) as session:
        with pytest.raises(ConfigurationError, match="http"):
            await session.submit(PROMPT)


async def test_brought_session_with_its_own_authorization_sends_ours(
    sandbox: Sandbox,
) -> None:
    """A default header of the user's session does not replace the key."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": "other"}) as http,
        PictorySession(
            sandbox.api_key, base_url=sandbox.base_url, http=http
        ) as session,
    ):
        await session.submit(PROMPT)
    assert sandbox.requests[0].headers["Authorization"] == sandbox.api_key


async def test_history_since_takes_an_aware_time(session: PictorySession) -> None:
    """A time without a zone is refused, and so is a negative limit."""
    with pytest.raises(InvalidRequestError) as caught:
        session.history(since=datetime(2026, 1, 1))  # noqa: DTZ001
    assert caught.value.field == "since"
    with pytest.raises(InvalidRequestError) as caught:
        session.history(limit=-1)
    assert caught.value.field == "limit"
    assert [i async for i in session.history(since=datetime.now(UTC), limit=0)] == []


async def test_download_takes_an_image(session: PictorySession) -> None:
    """A URL alone is refused: the file's name comes from the image."""
    with pytest.raises(InvalidRequestError) as caught:
        await session.download("https://example.com/a.png", ".")  # type: ignore[arg-type]
    assert caught.value.field == "image"


async def test_poll_now_by_id(session: PictorySession, sandbox: Sandbox) -> None:
    """A job in progress is polled immediately; any other id costs no request."""
    job = await session.submit(PROMPT)
    sandbox.finish(job.job_id)
    assert session.poll_now(job.job_id) is True
    await job
    assert sandbox.polls(job.job_id) == 1
    assert session.poll_now(job.job_id) is False
    assert session.poll_now("unknown") is False
    with pytest.raises(InvalidRequestError, match="job_id"):
        session.poll_now("..")
    await session.aclose()
    with pytest.raises(SessionClosedError):
        session.poll_now(job.job_id)
    assert [seen.kind for seen in sandbox.requests] == ["submit", "job"]


async def test_loop_is_known_while_it_is_open(sandbox: Sandbox) -> None:
    """The loop is known from the first use to the closing."""
    session = PictorySession(sandbox.api_key, base_url=sandbox.base_url)
    assert session.loop is None
    async with session:
        assert session.loop is asyncio.get_running_loop()
    assert session.loop is None
