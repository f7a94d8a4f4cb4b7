"""Errors keep their attributes, say what to do, and show nothing private."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from pictory_async._core import errors, unknown
from pictory_async._core.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    BudgetExceededError,
    ConfigurationError,
    DownloadError,
    InvalidRequestError,
    InvalidResponseError,
    JobError,
    JobExpiredError,
    JobFailedError,
    JobNotFoundError,
    JobTimeoutError,
    JournalError,
    JournalMismatchError,
    NotFoundError,
    PaginationError,
    PermissionDeniedError,
    PictoryError,
    RateLimitedError,
    RequestTimeoutError,
    ServerError,
    SessionClosedError,
    TransportError,
    WrongLoopError,
)
from pictory_async._core.models import ImageRequest
from pictory_async._core.unknown import SubmissionUnknownError

PROMPT = "A very private prompt about a fox, " + "word by word, " * 20
KEY = "pictai_s3cret"
URL = "https://cdn.example/a.png?Signature=s1gned"
REQUEST = ImageRequest(
    PROMPT, reference_image_url=URL, webhook="https://hooks.example/t0ken"
)

# The tree of design.md: each error and all its bases within the package or built in.
TREE: dict[str, tuple[type[BaseException], ...]] = {
    "PictoryError": (Exception,),
    "ConfigurationError": (PictoryError, ValueError),
    "InvalidRequestError": (PictoryError, ValueError),
    "APIError": (PictoryError,),
    "BadRequestError": (APIError,),
    "AuthenticationError": (APIError,),
    "PermissionDeniedError": (APIError,),
    "NotFoundError": (APIError,),
    "RateLimitedError": (APIError,),
    "ServerError": (APIError,),
    "TransportError": (PictoryError,),
    "RequestTimeoutError": (TransportError, TimeoutError),
    "InvalidResponseError": (PictoryError,),
    "SubmissionUnknownError": (PictoryError,),
    "JobError": (PictoryError,),
    "JobFailedError": (JobError,),
    "JobNotFoundError": (JobError,),
    "JobExpiredError": (JobError,),
    "JobTimeoutError": (JobError, TimeoutError),
    "PaginationError": (PictoryError,),
    "DownloadError": (PictoryError,),
    "SessionClosedError": (PictoryError,),
    "WrongLoopError": (PictoryError, RuntimeError),
}
# Those of the batch; whoever catches the one of the journal catches its mismatch.
TREE_OF_BATCH: dict[str, tuple[type[BaseException], ...]] = {
    "BudgetExceededError": (PictoryError,),
    "JournalError": (PictoryError,),
    "JournalMismatchError": (JournalError,),
}

# A value other than the default for every argument an error can have.
ARGUMENTS: dict[str, Any] = {
    "message": "what happened",
    "field": "prompt",
    "reason": "must be longer",
    "status": 418,
    "code": "TEAPOT",
    "fields": {"prompt": ("too short", "too dull")},
    "body": '{"code": "TEAPOT"}',
    "method": "POST",
    "path": "/v1/aistudio/images",
    "retry_after": 2.5,
    "from_api": False,
    "sent": False,
    "why": "expected an object",
    "where": "$.data",
    "request": REQUEST,
    "started_at": datetime(2026, 11, 21, 9, tzinfo=UTC),
    "clock_offset": 12.5,
    "ended_at": datetime(2026, 11, 21, 10, tzinfo=UTC),
    "cause": TransportError("reset", method="POST", path="/v1/aistudio/images"),
    "job_id": "4d82d040",
    "still_running": True,
    "next_page_key": "eyJw",
    "url": URL,
    "limit": Decimal("10.5"),
    "reserved": Decimal("9.8"),
    "price": Decimal(2),
    "index": 3,
}


def subclasses(cls: type[PictoryError]) -> Iterator[type[PictoryError]]:
    """Give *cls* and all errors of the package that derive from it, each once."""
    found = dict.fromkeys([cls])
    for child in cls.__subclasses__():
        found |= dict.fromkeys(subclasses(child))
    return (each for each in found if each.__module__.startswith("pictory_async"))


ERRORS = tuple(subclasses(PictoryError))


def arguments(cls: type[PictoryError]) -> list[str]:
    """Return the names of the arguments that *cls* takes beside a bare message."""
    own = inspect.isfunction(cls.__init__)
    return list(inspect.signature(cls).parameters) if own else []


def filled(cls: type[PictoryError]) -> PictoryError:
    """Return an error with every argument other than its default."""
    names = arguments(cls)
    return cls(**{name: ARGUMENTS[name] for name in names}) if names else cls("text")


def state(error: BaseException) -> dict[str, Any]:
    """Return the attributes of *error*, with nested errors as comparable values."""
    return {
        name: (type(value), state(value)) if isinstance(value, Exception) else value
        for name, value in vars(error).items()
    }


def test_the_tree_is_the_designed_one() -> None:
    """Every error has exactly the bases that the design gives it, and none is new."""
    bases = {cls.__name__: cls.__bases__ for cls in ERRORS}

    assert {name: bases[name] for name in TREE} == TREE
    later = {name: found for name, found in bases.items() if name not in TREE}
    assert later == TREE_OF_BATCH


@pytest.mark.parametrize("cls", ERRORS)
def test_every_error_can_be_made_without_arguments(cls: type[PictoryError]) -> None:
    """Every argument has a default, and the text of a bare error can be shown."""
    assert isinstance(str(cls()), str)
    assert isinstance(repr(cls()), str)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", ERRORS)
def test_every_error_pickles(cls: type[PictoryError], protocol: int) -> None:
    """A pickled error comes back with its type, attributes and text."""
    error = filled(cls)

    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own

    assert type(again) is cls
    assert state(again) == state(error)
    assert (str(again), repr(again)) == (str(error), repr(error))


@pytest.mark.parametrize("cls", ERRORS)
def test_every_error_can_be_copied(cls: type[PictoryError]) -> None:
    """A copy has the attributes and the text of the original."""
    error = filled(cls)

    assert state(copy.copy(error)) == state(error)
    assert str(copy.copy(error)) == str(error)


@pytest.mark.parametrize("cls", ERRORS)
def test_every_argument_becomes_an_attribute(cls: type[PictoryError]) -> None:
    """What an error is made with can be read from it under the same name."""
    error = filled(cls)
    names = set(arguments(cls)) - {"message"}

    expected = ARGUMENTS | {"url": "https://cdn.example/a.png"}
    assert {name: getattr(error, name) for name in names} == {
        name: expected[name] for name in names
    }


@pytest.mark.parametrize("cls", ERRORS)
def test_no_error_shows_what_is_private(cls: type[PictoryError]) -> None:
    """Neither text nor representation holds a whole prompt, a query or a webhook."""
    error = filled(cls)

    for shown in (str(error), repr(error)):
        assert PROMPT not in shown
        assert "s1gned" not in shown
        assert "t0ken" not in shown
        assert "\n" not in shown


@pytest.mark.parametrize("cls", tuple(subclasses(APIError)))
def test_a_long_answer_is_cut_in_the_text(cls: type[APIError]) -> None:
    """Code and message of the service take up at most 300 characters of the text."""
    error = cls("word " * 500, status=400, method="GET", path="/p", code="c" * 5000)

    assert len(str(error)) < 500


def test_a_body_is_kept_but_not_shown() -> None:
    """The beginning of the body is an attribute, not a part of the text."""
    error = APIError("no", status=400, body=f"echo {KEY}", method="GET", path="/p")
    unreadable = InvalidResponseError("expected JSON", body=f"echo {KEY}")

    assert error.body == unreadable.body == f"echo {KEY}"
    for each in (error, unreadable):
        assert KEY not in str(each) + repr(each)


ASKED = {"method": "POST", "path": "/v1/aistudio/images"}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PictoryError("plain"), "plain"),
        (ConfigurationError("no API key"), "no API key"),
        (
            InvalidRequestError(field="prompt", reason="must be longer"),
            "prompt: must be longer (nothing was sent)",
        ),
        (InvalidRequestError("given text", field="prompt"), "given text"),
        (APIError(status=302, **ASKED), "POST /v1/aistudio/images answered 302"),
        (
            BadRequestError(
                "Invalid request body.",
                status=400,
                code="INVALID_REQUEST_BODY",
                fields={"prompt": ("too short", "too dull"), "style": ("odd",)},
                **ASKED,
            ),
            (
                "POST /v1/aistudio/images answered 400 (INVALID_REQUEST_BODY | Invalid "
                "request body. | prompt: too short; too dull | style: odd). Correct "
                "the request; sending it again as it is will not help."
            ),
        ),
        (
            AuthenticationError("Unauthorized", status=401, **ASKED),
            (
                "POST /v1/aistudio/images answered 401 (Unauthorized). Check the API "
                "key: https://app.pictory.ai/api-access shows yours."
            ),
        ),
        (
            PermissionDeniedError("Forbidden", status=403, **ASKED),
            (
                "POST /v1/aistudio/images answered 403 (Forbidden). Check what the "
                "account behind the API key may do, and the base URL."
            ),
        ),
        (
            PermissionDeniedError(status=403, from_api=False, **ASKED),
            (
                "POST /v1/aistudio/images answered 403. This is not an answer of the "
                "API but of a proxy or firewall in front of it; it says nothing about "
                "the API key."
            ),
        ),
        (
            NotFoundError(status=404, method="GET", path="/v1/x"),
            "GET /v1/x answered 404. Check the id and the base URL.",
        ),
        (
            RateLimitedError("Too Many Requests", status=429, **ASKED),
            (
                "POST /v1/aistudio/images answered 429 (Too Many Requests). Send fewer "
                "requests at a time, or wait and try again."
            ),
        ),
        (
            ServerError(status=502, code="X", **ASKED),
            (
                "POST /v1/aistudio/images answered 502 (X). The service asks to retry "
                "after a brief delay."
            ),
        ),
        (TransportError(), "no answer; the request may have arrived"),
        (
            TransportError("connection refused", sent=False, **ASKED),
            "connection refused; POST /v1/aistudio/images was not sent",
        ),
        (
            RequestTimeoutError("no answer in 30 s", **ASKED),
            "no answer in 30 s; POST /v1/aistudio/images may have arrived",
        ),
        (
            InvalidResponseError(
                "expected a string", where="$.data.url", status=200, method="GET"
            ),
            "cannot read the answer to GET  (200): expected a string @ $.data.url",
        ),
        (
            SubmissionUnknownError(
                request=REQUEST,
                started_at=datetime(2026, 11, 21, 9, 8, 7, tzinfo=UTC),
                cause=TransportError("reset", **ASKED),
            ),
            (
                "the submission may or may not have created a job, and was not "
                "repeated (reset; POST /v1/aistudio/images may have arrived); if it "
                "did, the image appears in the history since 2026-11-21 09:08:07Z: "
                "session.reconcile(error) looks for it"
            ),
        ),
        (
            SubmissionUnknownError(),
            (
                "the submission may or may not have created a job, and was not "
                "repeated (None); if it did, the image appears in the history: "
                "session.reconcile(error) looks for it"
            ),
        ),
        (SubmissionUnknownError("given text"), "given text"),
        (JobError(job_id="j1"), "job j1: no image"),
        (JobError("given text", job_id="j" * 70), f"job {'j' * 59}…: given text"),
        (JobFailedError(job_id="j1"), "job j1 failed (no cause given)"),
        (JobFailedError("refused", job_id="j1"), "job j1 failed (refused)"),
        (
            JobFailedError("refused", job_id="j1", code="MODERATION"),
            "job j1 failed (MODERATION: refused)",
        ),
        (
            JobNotFoundError(job_id="j1"),
            "job j1: not found; is the id right, and of this account?",
        ),
        (
            JobExpiredError(job_id="j1"),
            "job j1: its data was cleaned; look for the image in the history",
        ),
        (
            JobTimeoutError(job_id="j1"),
            "job j1: not finished in time; session.job(job_id) polls it again",
        ),
        (
            JobTimeoutError(job_id="j1", still_running=True),
            "job j1: not finished in time; it is still polled, wait for it again",
        ),
        (
            PaginationError(next_page_key="eyJw"),
            (
                "page key 'eyJw' was given a second time; reading on would "
                "repeat images for ever"
            ),
        ),
        (PaginationError("given text"), "given text"),
        (
            DownloadError("the disk is full", url=URL, status=200),
            "cannot download https://cdn.example/a.png: the disk is full",
        ),
        (
            DownloadError(url="https://cdn.example/a.png"),
            "cannot download https://cdn.example/a.png: no reason given",
        ),
        (SessionClosedError(), "the session is closed; make a new one"),
        (SessionClosedError("given text"), "given text"),
        (
            SessionClosedError(job_id="j1"),
            (
                "the session was closed while job j1 was in progress; it continues at "
                "the service, and job(job_id) of another session finds it"
            ),
        ),
        (WrongLoopError("another loop"), "another loop"),
    ],
)
def test_the_text_says_what_to_do(error: PictoryError, text: str) -> None:
    """The text of each error says what happened and what to do next."""
    assert str(error) == text


def test_a_proxys_refusal_does_not_blame_the_key() -> None:
    """The text of a 403 that is not from the API does not suggest a wrong API key."""
    error = PermissionDeniedError(status=403, from_api=False, method="GET", path="/p")

    assert "Check" not in str(error)


def test_the_mapping_given_is_copied() -> None:
    """Changing the mapping afterwards does not change the error."""
    fields = {"prompt": ("too short",)}
    error = APIError(fields=fields)
    fields.clear()

    assert error.fields == {"prompt": ("too short",)}


def test_every_class_of_the_module_is_known_to_these_tests() -> None:
    """The module defines no exception outside the tree."""
    defined = {
        value
        for value in (vars(errors) | vars(unknown)).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }

    assert defined == set(ERRORS)


BUDGET = BudgetExceededError(limit=Decimal(5), reserved=Decimal(4), price=Decimal(2))
JOURNAL = JournalError(path="run.sqlite", reason="the disk is full")
MISMATCH = JournalMismatchError(path="run.sqlite", index=7)


def test_texts_say_what_to_know() -> None:
    """The numbers, the file and the place are in the text."""
    assert str(BUDGET) == (
        "2 credits do not fit under max_credits=5, of which 4 are used or reserved; "
        "nothing was sent"
    )
    assert str(JOURNAL) == "journal run.sqlite: the disk is full"
    assert str(MISMATCH) == (
        "journal run.sqlite was made for other prompts: number 7 (from 0) is not the "
        "recorded one"
    )
    for kind in (BudgetExceededError, JournalError, JournalMismatchError):
        assert str(kind("in other words")) == "in other words"


def test_they_survive_a_pickle() -> None:
    """With all attributes."""
    for error in (BUDGET, JOURNAL, MISMATCH):
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        assert type(copy) is type(error)
        assert vars(copy) == vars(error)
        assert str(copy) == str(error)


def test_a_mismatch_is_an_error_of_the_journal() -> None:
    """Whoever catches the one catches the other."""
    assert isinstance(MISMATCH, JournalError)
    assert isinstance(JOURNAL, PictoryError)
