"""What the mock server answers, in the form of each service: no HTTP, no clock."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

PER_PAGE: Final = 100
PROMPT: Final = "A watercolour fox in a snowy forest at dawn, highly detailed"
DATE: Final = "2026-11-03T10:00:00.000Z"

Json = dict[str, Any]


class Jobs(Protocol):
    """The jobs of a server."""

    host: str
    items: int

    def start(self) -> int:
        """Begin a job; return its number."""
        ...

    def poll(self, number: int) -> bool:
        """Count a poll; return whether the job has ended."""
        ...


Answer = Callable[[Jobs, str, str, str], bytes]


def job_id(number: int) -> str:
    """Return an id with the form of a UUID that carries *number*."""
    return f"{number:08x}-5bad-4c0d-8e0a-{number:012x}"


def number_of(identifier: str) -> int:
    """Return the number that an id carries."""
    return int(identifier[:8], 16)


def image_url(identifier: str) -> str:
    """Return where the image of a job would be."""
    return f"https://images.example/user/1/{identifier}.png"


def dump(body: Json) -> bytes:
    """Return *body* as JSON without spaces."""
    return json.dumps(body, separators=(",", ":")).encode()


# --- the service itself: the forms of https://docs.pictory.ai ------------------------


def pictory(jobs: Jobs, method: str, path: str, query: str) -> bytes:
    """Answer a submission, a poll or a page of the history."""
    if method == "POST":
        return dump({"success": True, "data": {"jobId": job_id(jobs.start())}})
    if path.endswith("/aistudio/images"):
        return _pictory_page(jobs.items, query)
    identifier = path.rpartition("/")[2]
    data: Json = {"status": "in-progress"}
    if jobs.poll(number_of(identifier)):
        data = {"status": "completed", "url": image_url(identifier)}
        data |= {"width": 1280, "height": 720, "aiCreditsUsed": 2}
    return dump({"job_id": identifier, "success": True, "data": data})


def _pictory_page(items: int, query: str) -> bytes:
    key = parse_qs(query).get("nextPageKey")
    first = json.loads(base64.b64decode(key[0]))["sortKey"] if key else 0
    last = min(items, first + PER_PAGE)
    body: Json = {"items": [_pictory_item(number) for number in range(first, last)]}
    if last < items:
        text = dump({"partitionKey": "user#1", "sortKey": last})
        body["nextPageKey"] = base64.b64encode(text).decode()
    return dump(body)


def _pictory_item(number: int) -> Json:
    return {
        "url": image_url(job_id(number)),
        "id": job_id(number),
        "prompt": PROMPT,
        "aspectRatio": "16:9",
        "createdDate": DATE,
        "model": "flux-schnell",
        "width": 1280,
        "height": 720,
        "style": "artistic",
    }


# --- the services of the other SDKs ---------------------------------------------------


def replicate(jobs: Jobs, method: str, path: str, _: str) -> bytes:
    """Answer as Replicate does: a prediction."""
    if method == "POST":
        return dump(_prediction(jobs, job_id(jobs.start()), "starting"))
    identifier = path.rpartition("/")[2]
    ended = jobs.poll(number_of(identifier))
    return dump(_prediction(jobs, identifier, "succeeded" if ended else "processing"))


def _prediction(jobs: Jobs, identifier: str, status: str) -> Json:
    here = f"http://{jobs.host}/v1/predictions/{identifier}"
    return {
        "id": identifier,
        "model": "black-forest-labs/flux-schnell",
        "version": "abc123",
        "input": {"prompt": PROMPT},
        "logs": "",
        "output": [image_url(identifier)] if status == "succeeded" else None,
        "error": None,
        "status": status,
        "created_at": DATE,
        "metrics": {},
        "urls": {"get": here, "cancel": f"{here}/cancel"},
    }


def fal(jobs: Jobs, method: str, path: str, _: str) -> bytes:
    """Answer as fal does: a queue, its status, and the result apart."""
    if method == "POST":
        return dump(_fal_accepted(jobs, job_id(jobs.start())))
    parts = path.split("/")
    if parts[-1] != "status":
        image = {"url": image_url(parts[-1]), "width": 1280, "height": 720}
        image["content_type"] = "image/png"
        return dump({"images": [image], "seed": 1, "prompt": PROMPT})
    body: Json = {"status": "IN_PROGRESS", "request_id": parts[-2], "logs": None}
    if jobs.poll(number_of(parts[-2])):
        body |= {"status": "COMPLETED", "metrics": {"inference_time": 1.9}}
    return dump(body)


def _fal_accepted(jobs: Jobs, identifier: str) -> Json:
    here = f"http://{jobs.host}/fal-ai/bench/requests/{identifier}"
    return {
        "status": "IN_QUEUE",
        "request_id": identifier,
        "response_url": here,
        "status_url": f"{here}/status",
        "cancel_url": f"{here}/cancel",
        "logs": None,
        "metrics": {},
        "queue_position": 0,
    }


def runway(jobs: Jobs, method: str, path: str, _: str) -> bytes:
    """Answer as Runway does: a task."""
    if method == "POST":
        return dump({"id": job_id(jobs.start()), "estimatedCost": {"credits": 5}})
    identifier = path.rpartition("/")[2]
    body: Json = {"id": identifier, "createdAt": DATE}
    if jobs.poll(number_of(identifier)):
        body |= {"status": "SUCCEEDED", "output": [image_url(identifier)]}
        return dump(body | {"cost": {"credits": 5}})
    body |= {"status": "RUNNING", "progress": 0.5, "estimatedCost": {"credits": 5}}
    return dump(body)


def openai(jobs: Jobs, method: str, path: str, query: str) -> bytes:
    """Answer as OpenAI does: a video, which is its one job to create and poll."""
    if method == "POST":
        return dump(_video(job_id(jobs.start()), "queued"))
    if path.endswith("/videos"):
        return _openai_page(jobs.items, query)
    identifier = path.rpartition("/")[2]
    ended = jobs.poll(number_of(identifier))
    return dump(_video(identifier, "completed" if ended else "in_progress"))


def _openai_page(items: int, query: str) -> bytes:
    after = parse_qs(query).get("after")
    first = number_of(after[0]) + 1 if after else 0
    last = min(items, first + PER_PAGE)
    return dump({
        "object": "list",
        "data": [_video(job_id(number), "completed") for number in range(first, last)],
        "first_id": job_id(first),
        "last_id": job_id(last - 1),
        "has_more": last < items,
    })


def _video(identifier: str, status: str) -> Json:
    ended = status == "completed"
    return {
        "id": identifier,
        "object": "video",
        "model": "sora-2",
        "status": status,
        "progress": 100 if ended else 33,
        "created_at": 1793700000,
        "completed_at": 1793700020 if ended else None,
        "expires_at": None,
        "error": None,
        "prompt": PROMPT,
        "remixed_from_video_id": None,
        "seconds": "4",
        "size": "1280x720",
    }


ROUTES: Final[tuple[tuple[str, Answer], ...]] = (
    ("/pictoryapis/v1/", pictory),
    ("/v1/predictions", replicate),
    ("/fal-ai/bench", fal),
    ("/v1/text_to_image", runway),
    ("/v1/tasks/", runway),
    ("/v1/videos", openai),
)

# Each of their pages is encoded once.
LISTS: Final = ("/pictoryapis/v1/aistudio/images", "/v1/videos")


def find(path: str) -> Answer | None:
    """Return who answers at *path*; None for nobody."""
    return next((answer for root, answer in ROUTES if path.startswith(root)), None)
