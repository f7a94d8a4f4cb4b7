"""The service's endpoints as values: how to ask, and how to read the answer.

What differs between the products of AI Studio stands on a `Product`, so that whoever
submits, polls or lists need not know which one it is.
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


class Kind(enum.Enum):
    """The kinds of request that take turns within a session."""

    SUBMIT = "submit"
    POLL = "poll"
    PAGE = "page"
    DOWNLOAD = "download"


@attrs.frozen
class Call(Generic[ValueT]):
    """One request and the reader of its answer.

    Attributes:
        kind: Whose turn it takes.
        method: ``GET``, or ``POST`` for what costs credits.
        path: Percent-encoded, with the query, below the base URL.
        read: From the answer to its value; raises our errors.
        body: JSON, or None.
        request: What a paid request asks for.
    """

    kind: Kind
    method: str
    path: str
    read: Callable[[Answer], ValueT] = attrs.field(repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)
    request: ImageRequest | None = None

    @property
    def paid(self) -> bool:
        """Whether it costs credits once accepted, so that it must not be repeated."""
        return self.request is not None


@attrs.frozen(eq=False)
class Product(Generic[ResultT]):
    """Something that AI Studio makes, and how to ask for it.

    Attributes:
        submit: From a request to the paid call; its value is the job's id.
        job: From a job's id and request to the call that asks how the job stands.
        default_model: What the service takes where a request names no model.
    """

    submit: Callable[[ImageRequest], Call[str]]
    job: Callable[[str, ImageRequest | None], Call[JobReport[ResultT]]]
    default_model: str

    def model(self, request: ImageRequest | None) -> str:
        """Return the model that makes what was asked for."""
        return (request.model if request else None) or self.default_model


def image_page(next_page_key: str | None) -> Call[HistoryPage]:
    """Ask for a page of the history. [D] ai-studio/get-images."""
    # The key is opaque and may contain =, + and /, so it is encoded whole.
    query = f"?nextPageKey={_quoted(next_page_key)}" if next_page_key else ""
    return Call(
        kind=Kind.PAGE,
        method="GET",
        path=f"/v1/aistudio/images{query}",
        read=read_page,
    )


def _submit_image(request: ImageRequest) -> Call[str]:
    """Ask for a picture. [D] ai-studio/generate-image."""
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
    """Ask how a job stands. [D] ai-studio/get-image-job."""
    read_result = partial(generated_image, job_id=job_id, request=request)
    return Call(
        kind=Kind.POLL,
        method="GET",
        path=f"/v1/jobs/{_quoted(job_id)}",
        read=partial(read_job, job_id=job_id, read_result=read_result),
    )


def _quoted(text: str) -> str:
    # JSON may hold lone surrogates; an id or key with them is wrong, but no crash.
    return quote(text, safe="", errors="surrogatepass")


IMAGES: Final = Product(
    submit=_submit_image, job=_image_job, default_model=DEFAULT_MODEL
)

_PRODUCTS: Final = {ImageRequest: IMAGES}


def product_of(request: ImageRequest) -> Product[Any]:
    """Return the product that *request* asks for."""
    return _PRODUCTS[type(request)]
