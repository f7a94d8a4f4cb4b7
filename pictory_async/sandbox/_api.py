"""The endpoints: from a request to its answer. Pure."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from pictory_async.sandbox import _replies as replies
from pictory_async.sandbox._history import BadPageKey
from pictory_async.sandbox._state import UNPAID, Job, Studio
from pictory_async.sandbox._validation import Rejected, image_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pictory_async.sandbox._options import Behavior
    from pictory_async.sandbox._recording import EndpointKind, SeenRequest
    from pictory_async.sandbox._replies import Reply, Site

PREFIX: Final = "/pictoryapis"
IMAGES: Final = f"{PREFIX}/v1/aistudio/images"
JOBS: Final = f"{PREFIX}/v1/jobs/"
FILES: Final = "/images/user/"


def route(method: str, path: str) -> tuple[EndpointKind, str | None]:
    """Return the endpoint of a request, and the id of the job or image in its path."""
    if path == IMAGES and method in {"GET", "POST"}:
        return ("submit" if method == "POST" else "images"), None
    head, _, last = path.rpartition("/")
    if method == "GET" and f"{head}/" == JOBS and last:
        return "job", last
    if method in {"GET", "HEAD"} and path.startswith(FILES) and last.endswith(".png"):
        return "file", last.removesuffix(".png")
    return "other", None


class Api:
    """The API as documented and, where that is silent, as *behavior* chooses."""

    def __init__(
        self, *, api_key: str, behavior: Behavior, studio: Studio, page_size: int
    ) -> None:
        self._api_key = api_key
        self._behavior = behavior
        self._studio = studio
        self._page_size = page_size
        self._job_answers: dict[str, Iterator[Reply]] = {}

    def override(self, job_id: str, reply: Reply, times: int | None) -> None:
        """Answer the next *times* polls of *job_id* (None: all) with *reply*."""
        every = itertools.repeat(reply)
        self._job_answers[job_id] = itertools.islice(every, times)

    def answer(self, seen: SeenRequest, site: Site, now: float) -> Reply:
        """Carry out an API request and return its answer."""
        agent = seen.headers.get("User-Agent", "")
        # [O] The bot protection comes before everything else.
        if agent.startswith(self._behavior.blocked_user_agents):
            return replies.blocked(self._behavior.blocked_body)
        if not self._allowed(seen.headers.get("Authorization", "")):
            return replies.gateway_reply(401)  # [D] status, [O] body
        self._studio.advance(now)
        match seen.kind, seen.target:
            case "submit", _:
                return self._submit(seen, now)
            case "images", _:
                return self._images(seen.query, site)
            case "job", str(job_id):
                return self._job(job_id, site)
            case _:
                return replies.no_such_route()

    def _allowed(self, sent: str) -> bool:
        # [D] The key is sent raw. What a "Bearer " prefix does is not documented.
        if self._behavior.bearer == "accept":
            sent = sent.removeprefix("Bearer ")
        return sent == self._api_key

    def _submit(self, seen: SeenRequest, now: float) -> Reply:
        content_type = seen.headers.get("Content-Type", "")
        try:
            request = image_request(seen.raw, content_type, self._behavior)
        except Rejected as exc:
            return replies.invalid_request(exc.message, exc.fields)
        if self._studio.affords(request):
            return replies.accepted(self._studio.submit(request, now).job_id)
        return self._unpaid(request, now)

    def _unpaid(self, request: Mapping[str, Any], now: float) -> Reply:
        switch = self._behavior.insufficient_credits
        if switch == "failed-job":
            return replies.accepted(self._studio.submit(request, now, UNPAID).job_id)
        return replies.insufficient_credits(switch)

    def _images(self, query: Mapping[str, str], site: Site) -> Reply:
        try:
            found = self._studio.history.page(query.get("nextPageKey"), self._page_size)
        except BadPageKey:
            return replies.bad_page_key(self._behavior.bad_page_key)
        return replies.page(*found, site)

    def _job(self, job_id: str, site: Site) -> Reply:
        if reply := next(self._job_answers.get(job_id, iter(())), None):
            return reply
        job = self._studio.jobs.get(job_id)
        if job is None or self._forgotten(job):
            return replies.unknown_job(job_id, self._behavior.unknown_job)
        return replies.json_reply(replies.job_body(job, site))

    def _forgotten(self, job: Job) -> bool:
        return job.state == "cleaned" and self._behavior.cleaned_job == "unknown"
