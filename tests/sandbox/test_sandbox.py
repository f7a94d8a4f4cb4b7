"""The documented behavior, and the lifetime of a sandbox."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from pictory_async.sandbox import Behavior, ImageView, Sandbox
from tests.sandbox.client import PROMPT, Client, Serve

UNAUTHORIZED = (401, {"message": "Unauthorized"})
NOT_FOUND = {"error_code": "5000", "error_message": "JOB_NOT_FOUND"}


class TestAccess:
    @pytest.mark.parametrize("key", ["", "pictai_wrong", "Bearer {}", "bearer {}"])
    async def test_bad_key(self, serve: Serve, key: str) -> None:
        """Every endpoint refuses anything but the raw key."""
        sandbox, client = await serve()
        headers = {"Authorization": key.format(sandbox.api_key)}
        for path in ("/v1/aistudio/images", "/v1/jobs/1", "/v1/nothing"):
            assert await client.send("GET", path, headers=headers) == UNAUTHORIZED

    async def test_missing_key(self, serve: Serve) -> None:
        """A missing key is a wrong key, and is noticed before a bad body."""
        sandbox, _ = await serve()
        url = f"{sandbox.base_url}/v1/aistudio/images"
        async with aiohttp.ClientSession() as http, http.post(url) as answer:
            assert (answer.status, await answer.json()) == UNAUTHORIZED

    async def test_bearer_accepted(self, serve: Serve) -> None:
        """An option accepts the prefix, and still the raw key."""
        sandbox, client = await serve(behavior=Behavior(bearer="accept"))
        headers = {"Authorization": f"Bearer {sandbox.api_key}"}
        assert (await client.page())[0] == 200
        status, _ = await client.send("GET", "/v1/aistudio/images", headers=headers)
        assert status == 200

    async def test_own_key(self, serve: Serve) -> None:
        """The key can be chosen."""
        _, client = await serve(api_key="pictai_mine")
        assert (await client.page())[0] == 200

    @pytest.mark.parametrize(
        ("form", "kind", "text"),
        [("text", "text/plain", "error code: 1010"), ("html", "text/html", "1010")],
    )
    async def test_blocked_user_agent(
        self, serve: Serve, form: Any, kind: str, text: str
    ) -> None:
        """The bot protection comes before the key, and does not answer in JSON."""
        sandbox, client = await serve(behavior=Behavior(blocked_body=form))
        headers = {"User-Agent": "Python-urllib/3.11", "Authorization": "wrong"}
        url = f"{sandbox.base_url}/v1/aistudio/images"
        async with client.http.get(url, headers=headers) as answer:
            assert (answer.status, answer.content_type) == (403, kind)
            assert answer.headers["Server"] == "cloudflare"
            assert text in await answer.text()

    async def test_blocked_user_agents_can_be_chosen(self, serve: Serve) -> None:
        """An option says which agents are blocked, if any."""
        _, strict = await serve(behavior=Behavior(blocked_user_agents=("Python/",)))
        url = f"{strict.base_url}/v1/aistudio/images"
        async with strict.http.get(url) as answer:
            assert answer.status == 403
        _, open_ = await serve(behavior=Behavior(blocked_user_agents=()))
        assert (await open_.page())[0] == 200

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/v1/quota"),
            ("GET", "/v1/jobs/"),
            ("GET", "/v1/jobs/1/2"),
            ("DELETE", "/v1/jobs/1"),
            ("PUT", "/v1/aistudio/images"),
            ("POST", "/v1/aistudio/images/"),
        ],
    )
    async def test_unknown_route(self, serve: Serve, method: str, path: str) -> None:
        """A path or method that the gateway does not know gets an answer of its own."""
        _, client = await serve()
        expected = (403, {"message": "Missing Authentication Token"})
        assert await client.send(method, path) == expected

    async def test_head(self, serve: Serve) -> None:
        """HEAD is a method the API does not have."""
        sandbox, client = await serve()
        url = f"{sandbox.base_url}/v1/aistudio/images"
        async with client.http.head(url) as answer:
            assert (answer.status, await answer.read()) == (403, b"")


class TestSubmit:
    async def test_accepted(self, serve: Serve) -> None:
        """A good request is answered 200 with a job id and nothing else."""
        sandbox, client = await serve()
        status, body = await client.submit(style="vintage", unknown=1)
        (job_id,) = sandbox.jobs
        assert (status, body) == (200, {"success": True, "data": {"jobId": job_id}})
        request = {"prompt": PROMPT, "style": "vintage", "unknown": 1}
        assert sandbox.submitted == [request]
        assert sandbox.job(job_id).request == request

    async def test_refused(self, serve: Serve) -> None:
        """A bad request is answered 400 and names every bad field."""
        sandbox, client = await serve()
        status, body = await client.submit(prompt="x", model="y")
        assert (status, body["code"]) == (400, "INVALID_REQUEST_BODY")
        assert [field["name"] for field in body["fields"]] == ["prompt", "model"]
        assert all(isinstance(field["errors"], str) for field in body["fields"])
        assert "prompt, model" in body["message"]
        assert sandbox.jobs == {}

    async def test_not_json(self, serve: Serve) -> None:
        """A form is not JSON."""
        _, client = await serve()
        status, body = await client.send("POST", "/v1/aistudio/images", data={"a": 1})
        assert (status, body["fields"][0]["name"]) == (400, "Content-Type")

    @pytest.mark.parametrize("switch", [400, 402, 403])
    async def test_no_credits_refused(self, serve: Serve, switch: Any) -> None:
        """A request that cannot be paid for is refused, and costs nothing."""
        behavior = Behavior(insufficient_credits=switch)
        sandbox, client = await serve(credits=2.5, behavior=behavior)
        await client.job()
        status, body = await client.submit()
        assert (status, body["code"]) == (switch, "INSUFFICIENT_CREDITS")
        assert (await client.submit(model="flux-schnell"))[0] == switch
        assert sandbox.credits_left == Decimal("0.5")

    async def test_no_credits_failed(self, serve: Serve) -> None:
        """A request that cannot be paid for may be accepted, and its job fail."""
        sandbox, client = await serve(credits=1, duration=0)
        _, body = await client.poll(await client.job())
        assert body["data"]["error_code"] == "INSUFFICIENT_CREDITS"
        assert sandbox.credits_used == 0
        assert sandbox.credits_left == 1


class TestJob:
    @pytest.mark.looptime
    async def test_course(self, serve: Serve) -> None:
        """A job is in progress for its duration, then completed."""
        sandbox, client = await serve(duration=10)
        job_id = await client.job(model="flux-schnell", aspectRatio="16:9")
        running = {"job_id": job_id, "success": True, "data": {"status": "in-progress"}}
        assert await client.poll(job_id) == (200, running)
        await asyncio.sleep(9.9)
        assert await client.poll(job_id) == (200, running)
        await asyncio.sleep(0.1)
        status, body = await client.poll(job_id)
        (image,) = sandbox.images
        host = sandbox.base_url.removesuffix("/pictoryapis")
        uuid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
        url = body["data"].pop("url")
        assert re.fullmatch(f"{host}/images/user/{uuid}/{image.id}.png", url)
        assert (status, body) == (
            200,
            {
                "job_id": job_id,
                "success": True,
                "data": {
                    "status": "completed",
                    "width": 1280,
                    "height": 720,
                    "aiCreditsUsed": 0.6,
                },
            },
        )
        assert sandbox.credits_used == Decimal("0.6")
        view = sandbox.job(job_id)
        assert (view.state, view.polls, view.image_id) == ("completed", 3, image.id)
        assert view.ended_at == pytest.approx(view.submitted_at + 10)

    async def test_whole_credits_are_whole(self, serve: Serve) -> None:
        """A whole price is an integer in JSON."""
        _, client = await serve(duration=0)
        _, body = await client.poll(await client.job())
        assert repr(body["data"]["aiCreditsUsed"]) == "2"

    async def test_failed(self, serve: Serve) -> None:
        """A failed job is HTTP 200 with success false."""
        sandbox, client = await serve(duration=0)
        sandbox.fail_next(code="BROKEN", message="It broke")
        job_id = await client.job()
        data = {"status": "failed", "error_code": "BROKEN", "error_message": "It broke"}
        expected = {"job_id": job_id, "success": False, "data": data}
        assert await client.poll(job_id) == (200, expected)
        assert sandbox.images == []
        assert sandbox.credits_used == 0

    @pytest.mark.parametrize(
        ("switch", "status", "empty"),
        [("404", 404, False), ("404-empty", 404, True), ("200", 200, False)],
    )
    async def test_unknown(
        self, serve: Serve, switch: Any, status: int, empty: bool
    ) -> None:
        """An unknown job gets one of the documented answers."""
        sandbox, client = await serve(behavior=Behavior(unknown_job=switch))
        body = {"job_id": "nobody", "success": False, "data": NOT_FOUND}
        assert await client.poll("nobody") == (status, None if empty else body)
        assert sandbox.polls("nobody") == 1

    async def test_cleaned(self, serve: Serve) -> None:
        """A cleaned job is answered with its state, or like an unknown one."""
        for switch, expected in (
            ("cleaned", (200, {"status": "cleaned"})),
            ("unknown", (404, NOT_FOUND)),
        ):
            behavior = Behavior(cleaned_job=switch)  # type: ignore[arg-type]
            sandbox, client = await serve(behavior=behavior)
            job_id = await client.job()
            sandbox.finish(job_id)
            sandbox.clean(job_id)
            status, body = await client.poll(job_id)
            assert (status, body["data"]) == expected

    async def test_by_hand(self, serve: Serve) -> None:
        """A test can put jobs into any state."""
        sandbox, client = await serve(duration=float("inf"))
        first, second = await client.job(), await client.job()
        sandbox.set_state(first, "paused")
        assert (await client.poll(first))[1]["data"] == {"status": "paused"}
        sandbox.finish(first)
        sandbox.fail(second, code="BROKEN")
        states = {job_id: view.state for job_id, view in sandbox.jobs.items()}
        assert states == {first: "completed", second: "failed"}
        with pytest.raises(KeyError):
            sandbox.finish("nobody")

    @pytest.mark.looptime
    async def test_hold(self, serve: Serve) -> None:
        """Held jobs wait for their release."""
        sandbox, client = await serve(duration=1)
        sandbox.hold()
        job_id = await client.job()
        await asyncio.sleep(100)
        assert (await client.poll(job_id))[1]["data"]["status"] == "in-progress"
        sandbox.release()
        assert (await client.poll(job_id))[1]["data"]["status"] == "completed"

    async def test_any_answer(self, serve: Serve) -> None:
        """Polls can be answered with any bytes, a number of times or always."""
        sandbox, client = await serve(duration=0)
        job_id = await client.job()
        sandbox.answer_job(job_id, {"data": "in-progress"}, times=1)
        assert await client.poll(job_id) == (200, {"data": "in-progress"})
        assert (await client.poll(job_id))[1]["success"] is True
        sandbox.answer_job(job_id, b"null", status=202)
        sandbox.answer_job("nobody", None)
        assert await client.poll(job_id) == await client.poll(job_id) == (202, None)
        assert await client.poll("nobody") == (200, None)

    @pytest.mark.looptime
    async def test_duration_may_depend_on_the_request(self, serve: Serve) -> None:
        """A function of the request says how long its job takes."""
        sandbox, client = await serve(duration=lambda body: len(body["prompt"]))
        job_id = await client.job(prompt="12345")
        await asyncio.sleep(4)
        assert sandbox.job(job_id).state == "in-progress"
        await asyncio.sleep(1)
        assert sandbox.job(job_id).state == "completed"


class TestHistory:
    async def test_empty(self, serve: Serve) -> None:
        """An empty history is an empty list without a key."""
        _, client = await serve()
        assert await client.page() == (200, {"items": []})

    @pytest.mark.looptime
    async def test_item(self, serve: Serve) -> None:
        """An item has the documented fields, and optional ones that were requested."""
        sandbox, client = await serve(duration=10)
        reference = "https://example.com/a.png"
        await client.job(style="artistic", referenceImageUrl=reference)
        await asyncio.sleep(1.5)
        await client.job(model="nanobanana", aspectRatio="16:9")
        assert (await client.page())[1] == {"items": []}
        await asyncio.sleep(10)
        _, body = await client.page()
        newest, oldest = body["items"]
        first, second = sandbox.images
        root = newest["url"].rpartition("/")[0]
        assert newest == {
            "url": f"{root}/{first.id}.png",
            "id": first.id,
            "prompt": PROMPT,
            "aspectRatio": "16:9",
            "createdDate": newest["createdDate"],
            "model": "nanobanana",
            "width": 1024,
            "height": 1024,
        }
        assert (oldest["id"], oldest["style"]) == (second.id, "artistic")
        assert oldest["referenceImageUrl"] == reference

    @pytest.mark.looptime
    async def test_dates(self, serve: Serve) -> None:
        """Dates follow the loop's clock."""
        sandbox, client = await serve()
        sandbox.add_image(PROMPT)
        await asyncio.sleep(90)
        sandbox.add_image(PROMPT)
        _, body = await client.page()
        newest, oldest = (item["createdDate"] for item in body["items"])
        assert oldest == "2026-04-04T06:03:38.665Z"
        assert newest == "2026-04-04T06:05:08.665Z"

    async def test_pages(self, serve: Serve) -> None:
        """Pages follow from their keys, and the last has none."""
        sandbox, client = await serve()
        made = [sandbox.add_image(f"Image {number}").id for number in range(250)]
        found, key, sizes = [], None, []
        while True:
            status, body = await client.page(key)
            assert status == 200
            sizes.append(len(body["items"]))
            found += [item["id"] for item in body["items"]]
            if "nextPageKey" not in body:
                break
            key = body["nextPageKey"]
        assert sizes == [100, 100, 50]
        assert found == made[::-1]

    async def test_small_pages(self, serve: Serve) -> None:
        """A test can see a second page without hundreds of images."""
        sandbox, client = await serve(page_size=2)
        for _ in range(3):
            sandbox.add_image(PROMPT)
        assert len((await client.page())[1]["items"]) == 2

    @pytest.mark.parametrize("status", [400, 500])
    async def test_bad_key(self, serve: Serve, status: Any) -> None:
        """A key that was never issued is an error of one kind or another."""
        _, client = await serve(behavior=Behavior(bad_page_key=status))
        assert (await client.page("nonsense"))[0] == status

    async def test_added_image(self, serve: Serve) -> None:
        """An added image is listed like any other, and is validated."""
        sandbox, _ = await serve()
        image = sandbox.add_image(PROMPT, style="cartoon", aspect_ratio="9:16")
        assert sandbox.images == [image]
        assert isinstance(image, ImageView)
        with pytest.raises(ValueError, match="style"):
            sandbox.add_image(PROMPT, style="gothic")


class TestLife:
    async def test_three_tasks(self) -> None:
        """It may be started, used and closed by different tasks."""
        sandbox = Sandbox(pictures=False)
        assert await asyncio.create_task(sandbox.start()) is sandbox
        client = Client(sandbox.base_url, sandbox.api_key)
        assert (await asyncio.create_task(client.submit()))[0] == 200
        await client.http.close()
        await asyncio.create_task(sandbox.aclose())

    async def test_not_started(self) -> None:
        """Before the start it has neither an address nor a time."""
        sandbox = Sandbox()
        with pytest.raises(RuntimeError, match="start"):
            _ = sandbox.base_url
        with pytest.raises(RuntimeError, match="start"):
            _ = sandbox._service.site
        await sandbox.aclose()

    async def test_started_twice(self, serve: Serve) -> None:
        """A running sandbox cannot be started."""
        sandbox, _ = await serve()
        with pytest.raises(RuntimeError, match="already"):
            await sandbox.start()

    async def test_port_taken(self, serve: Serve) -> None:
        """A taken port is an error of the start, which can be tried again."""
        sandbox, client = await serve()
        port = int(sandbox.base_url.split("/")[2].split(":")[1])
        other = Sandbox(port=port, pictures=False)
        with pytest.raises(OSError, match=str(port)):
            await other.start()
        await client.http.close()
        await sandbox.aclose()
        async with other:
            assert other.base_url == sandbox.base_url

    async def test_outage(self, serve: Serve) -> None:
        """It refuses connections while closed, and keeps its jobs."""
        sandbox, client = await serve()
        job_id, url = await client.job(), sandbox.base_url
        await sandbox.aclose()
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.poll(job_id)
        await sandbox.start()
        assert sandbox.base_url == url
        assert (await client.poll(job_id))[0] == 200

    def test_another_loop(self) -> None:
        """It stays in its loop; its records can be read after the loop has ended."""
        sandbox = Sandbox(pictures=False)

        async def once() -> None:
            async with sandbox:
                pass

        asyncio.run(once())
        with pytest.raises(RuntimeError, match="loop"):
            asyncio.run(once())
        assert (sandbox.jobs, sandbox.images) == ({}, [])

    @pytest.mark.parametrize(
        "options",
        [
            {"page_size": 0},
            {"page_size": 101},
            {"started_at": datetime(2026, 4, 4)},  # noqa: DTZ001 - what is tested
            {"failure_rate": 1.5},
            {"failure_rate": float("nan")},
        ],
    )
    def test_senseless_options(self, options: dict[str, Any]) -> None:
        """Invalid options are refused by the constructor."""
        with pytest.raises(ValueError, match=r"page_size|started_at|failure_rate"):
            Sandbox(**options)

    async def test_calendar_starts_now(self) -> None:
        """By default images are dated today."""
        async with Sandbox(pictures=False) as sandbox:
            sandbox.add_image(PROMPT)
            client = Client(sandbox.base_url, sandbox.api_key)
            _, body = await client.page()
            await client.http.close()
        date = body["items"][0]["createdDate"]
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", date)
