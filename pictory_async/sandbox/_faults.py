"""Faults that can be injected into requests. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypedDict, Unpack

import attrs

from pictory_async.sandbox import _replies as replies
from pictory_async.sandbox._options import at_least
from pictory_async.sandbox._recording import EndpointKind, SeenRequest
from pictory_async.sandbox._replies import Reply

Chaos = Callable[[SeenRequest], "Fault | None"]


class When(TypedDict, total=False):
    """The keyword arguments that all faults share: which requests they hit."""

    on: EndpointKind | None
    times: int | None
    after: int
    delay: float


@attrs.frozen(kw_only=True)
class Fault:
    """A fault injected into requests.

    Make one with a class method: `answer`, `drop`, `truncate`, `hang`, `trickle` or
    `slow`. All of them take the first four attributes as keyword arguments.

    Attributes:
        on: The kind of request that it hits; None hits every kind.
        times: How many requests it hits; None hits all.
        after: How many matching requests pass before it hits one.
        delay: Seconds (loop time) from the arrival of a request to the action.
        action: What happens: the name of the class method, "pass" for `slow`.
        handled: Whether the request takes effect (a job is created and paid for).
        reply: The answer that `answer` sends.
        keep: Bytes of the body that `truncate` lets through.
        interval: Seconds between the bytes of `trickle`.
    """

    on: EndpointKind | None = None
    times: int | None = attrs.field(default=1, validator=at_least(1))
    after: int = attrs.field(default=0, validator=at_least(0))
    delay: float = attrs.field(default=0.0, validator=at_least(0))
    action: Literal["pass", "answer", "drop", "truncate", "hang", "trickle"] = "pass"
    handled: bool = True
    reply: Reply | None = None
    keep: int = attrs.field(default=0, validator=at_least(0))
    interval: float = attrs.field(default=1.0, validator=at_least(0))

    @classmethod
    def answer(
        cls,
        status: int,
        *,
        body: object = None,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float | str | None = None,
        handled: bool = False,
        **when: Unpack[When],
    ) -> Fault:
        """Answer with *status* instead of what the service would answer.

        Args:
            status: Any status, even one that no standard defines.
            body: Text and bytes are sent as they are, anything else as JSON; None
                is the body that an API gateway sends with *status*.
            content_type: Default: JSON, or ``text/html`` for text and bytes.
            headers: Further headers.
            retry_after: Seconds or an HTTP date for a ``Retry-After`` header.
            handled: True lets the request take effect first, as when a gateway
                gives up on a service that is still working.
            **when: Which requests it hits: `on`, `times`, `after`, `delay`.
        """
        reply = replies.gateway_reply(status)
        if body is not None:
            reply = replies.any_reply(status, body, content_type)
        extra = {**(headers or {}), **replies.retry_after(retry_after)}
        reply = attrs.evolve(reply, headers=extra)
        return cls(action="answer", handled=handled, reply=reply, **when)

    @classmethod
    def drop(cls, *, handled: bool = False, **when: Unpack[When]) -> Fault:
        """Close the connection without an answer.

        Args:
            handled: True lets the request take effect first: the job exists, but
                its sender does not know its id.
            **when: Which requests it hits: `on`, `times`, `after`, `delay`.
        """
        return cls(action="drop", handled=handled, **when)

    @classmethod
    def truncate(cls, *, keep: int = 0, **when: Unpack[When]) -> Fault:
        """Handle the request, send headers and *keep* bytes of the body, then close.

        Args:
            keep: Bytes to send; at most all but one.
            **when: Which requests it hits: `on`, `times`, `after`, `delay`.
        """
        return cls(action="truncate", keep=keep, **when)

    @classmethod
    def hang(cls, *, handled: bool = False, **when: Unpack[When]) -> Fault:
        """Never answer; wait until the client goes away or the sandbox closes.

        Args:
            handled: True lets the request take effect first.
            **when: Which requests it hits: `on`, `times`, `after`, `delay`.
        """
        return cls(action="hang", handled=handled, **when)

    @classmethod
    def trickle(cls, *, interval: float = 1.0, **when: Unpack[When]) -> Fault:
        """Handle the request and send the body one byte at a time.

        Args:
            interval: Seconds (loop time) before each byte.
            **when: Which requests it hits: `on`, `times`, `after`, `delay`.
        """
        return cls(action="trickle", interval=interval, **when)

    @classmethod
    def slow(cls, seconds: float, **when: Unpack[When]) -> Fault:
        """Wait *seconds* (loop time), then handle and answer the request as usual.

        Args:
            seconds: The wait; the request is handled even if the client gives up first.
            **when: Which requests it hits: `on`, `times`, `after`.
        """
        return attrs.evolve(cls(**when), delay=seconds)
