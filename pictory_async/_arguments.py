"""What users give to a session, checked and put into one form."""

from __future__ import annotations

import os
from typing import Any

import aiohttp
from yarl import URL

from pictory_async._adaptive import Adaptive
from pictory_async._checks import checked_timeout
from pictory_async._configuration import find_api_key, find_base_url
from pictory_async._engine import Settings
from pictory_async._errors import InvalidRequestError
from pictory_async._models import GeneratedImage, HistoryImage, ImageRequest
from pictory_async._pace import Limits
from pictory_async._polling import PollPolicy
from pictory_async._retry import RetryPolicy


def settings_for(
    *,
    api_key: str | None,
    base_url: str | URL | None,
    polling: PollPolicy | None,
    retries: RetryPolicy | None,
    limits: Limits | None,
    request_timeout: float,
    job_timeout: float | None,
    http: aiohttp.ClientSession | None,
) -> Settings:
    """Return the settings of a session; see `PictorySession`.

    Raises:
        ConfigurationError: There is no usable key or base URL.
        InvalidRequestError: A time is not allowed.
    """
    if not checked_timeout(request_timeout, field="request_timeout"):
        reason = "must be seconds above 0"
        raise InvalidRequestError(field="request_timeout", reason=reason)
    return Settings(
        api_key=find_api_key(api_key, os.environ),
        base_url=find_base_url(base_url, os.environ),
        polling=polling or Adaptive(),
        retries=retries or RetryPolicy(),
        limits=limits or Limits(),
        request_timeout=request_timeout,
        job_timeout=checked_timeout(job_timeout, field="job_timeout"),
        http=http,
    )


def given_options(
    model: str | None,
    aspect_ratio: str | None,
    style: str | None,
    reference_image_url: str | None,
    webhook: str | None,
) -> dict[str, str | None]:
    """Return the options of a request by their names."""
    return {
        "model": model,
        "aspect_ratio": aspect_ratio,
        "style": style,
        "reference_image_url": reference_image_url,
        "webhook": webhook,
    }


def requested(
    prompt_or_request: str | ImageRequest, options: dict[str, Any]
) -> ImageRequest:
    """Return the request, with the options that were given."""
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(prompt_or_request, ImageRequest):
        return prompt_or_request.override(**given) if given else prompt_or_request
    return ImageRequest(prompt_or_request, **given)


def checked_image(image: object) -> tuple[str, str]:
    """Return the URL of *image* and an id for its file.

    Raises:
        InvalidRequestError: This is no image.
    """
    match image:
        case GeneratedImage():
            return image.url, image.job_id
        case HistoryImage():
            return image.url, image.id
    reason = f"must be an image, not {type(image).__name__}"
    raise InvalidRequestError(field="image", reason=reason)
