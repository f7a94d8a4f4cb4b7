"""The service's endpoints as values: what to send, and how to read the answer.

Whatever differs between the products of AI Studio is an attribute of `Product`, so that
the code that submits and polls need not know which product it deals with.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import attrs

from pictory_async._core.catalogue import DEFAULT_MODEL
from pictory_async._core.decode import generated_image
from pictory_async._core.models import (
    GeneratedImage,
    HistoryPage,
    ImageRequest,
    ResultT,
)
from pictory_async._core.wire import (
    Answer,
    JobReport,
    encode_request,
    read_job,
    read_page,
    read_submission,
)

ValueT = TypeVar("ValueT")


class Kind(enum.StrEnum):
    """The kinds of request. Each has its own queue for turns; see `Turns`."""

    SUBMIT = "submit"
    POLL = "poll"
    PAGE = "page"
    DOWNLOAD = "download"


@attrs.frozen
class Call(Generic[ValueT]):
    """One HTTP request and the reader of its answer.

    Attributes:
        kind: The queue in which it waits for its turn.
        method: ``POST`` for a paid call, else ``GET``.
        path: The path below the base URL with its query, percent-encoded.
        read: Returns the value that an answer contains; raises `PictoryError`.
        body: The JSON to send; None for none.
        request: The user's request, if the call is paid; else None.
    """

    kind: Kind
    method: str
    path: str
    read: Callable[[Answer], ValueT] = attrs.field(repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)
    request: ImageRequest | None = None

    @property
    def paid(self) -> bool:
        """Whether it costs credits once accepted, and so must not be sent twice."""
        return self.request is not None


@attrs.frozen(eq=False)
class Product(Generic[ResultT]):
    """Something that AI Studio makes, with its endpoints.

    Attributes:
        submit: Returns the paid call for a request; the value of the call is a job id.
        job: Returns the call that polls a job, given its id and its request.
        default_model: The model that the service uses if a request names none.
    """

    submit: Callable[[ImageRequest], Call[str]]
    job: Callable[[str, ImageRequest | None], Call[JobReport[ResultT]]]
    default_model: str

    def model(self, request: ImageRequest | None) -> str:
        """Return the model that serves *request*."""
        return (request.model if request else None) or self.default_model


def image_page(next_page_key: str | None) -> Call[HistoryPage]:
    """Return the call for one page of the history.

    [D] api-reference/ai-studio/get-images.
    """
    # The key is opaque and may contain =, + and /, so it is encoded whole.
    query = f"?nextPageKey={_quoted(next_page_key)}" if next_page_key else ""
    return Call(
        kind=Kind.PAGE,
        method="GET",
        path=f"/v1/aistudio/images{query}",
        read=read_page,
    )


def _submit_image(request: ImageRequest) -> Call[str]:
    """Return the paid call for an image.

    [D] api-reference/ai-studio/generate-image.
    """
    return Call(
        kind=Kind.SUBMIT,
        method="POST",
        path="/v1/aistudio/images",
        read=read_submission,
        body=encode_request(request),
        request=request,
    )


def _image_job(
    job_id: str, request: ImageRequest | None
) -> Call[JobReport[GeneratedImage]]:
    """Return the call that polls a job.

    [D] api-reference/ai-studio/get-image-job.
    """
    read_result = partial(generated_image, job_id=job_id, request=request)
    return Call(
        kind=Kind.POLL,
        method="GET",
        path=f"/v1/jobs/{_quoted(job_id)}",
        read=partial(read_job, job_id=job_id, read_result=read_result),
    )


def _quoted(text: str) -> str:
    # JSON may contain lone surrogates. An id or key with them is wrong, but encoding
    # it must not crash.
    return quote(text, safe="", errors="surrogatepass")


IMAGES: Final = Product(
    submit=_submit_image, job=_image_job, default_model=DEFAULT_MODEL
)

_PRODUCTS: Final = {ImageRequest: IMAGES}


def product_of(request: ImageRequest) -> Product[Any]:
    """Return the product that *request* asks for."""
    return _PRODUCTS[type(request)]
