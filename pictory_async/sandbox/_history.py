"""The list of finished images and its page keys. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator


class BadPageKey(ValueError):  # noqa: N818 - a condition the caller turns into a status
    """The page key was not issued by this history."""


@attrs.frozen(kw_only=True)
class ImageView:
    """One image of the history.

    Attributes:
        id: Of the image; not the id of the job that made it.
        job_id: Of that job; None for an image added with ``add_image``.
        prompt: As requested.
        model: As requested, else the documented default.
        aspect_ratio: As requested, else the first of the model.
        style: As requested; None if the request named none.
        reference_image_url: Likewise.
        created_at: Loop time at which it was finished, in seconds.
        width: In pixels.
        height: In pixels.
    """

    id: str
    job_id: str | None
    prompt: str = attrs.field(repr=False)
    model: str
    aspect_ratio: str
    style: str | None
    reference_image_url: str | None
    created_at: float
    width: int
    height: int


class History:
    """Finished images, and pages of them from the newest to the oldest."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._images: list[ImageView] = []  # oldest first
        self._indices: dict[str, int] = {}

    def __iter__(self) -> Iterator[ImageView]:
        return reversed(self._images)

    def add(self, image: ImageView) -> None:
        """Add *image* as the newest."""
        self._indices[image.id] = len(self._images)
        self._images.append(image)

    def find(self, image_id: str) -> ImageView | None:
        """Return the image with this id; None if there is none."""
        index = self._indices.get(image_id)
        return None if index is None else self._images[index]

    def page(self, key: str | None, size: int) -> tuple[list[ImageView], str | None]:
        """Return up to *size* images after *key* and the key of the next page.

        A key names the last image of its page and not a number of images to skip,
        so images that arrive meanwhile shift nothing.

        Raises:
            BadPageKey: *key* was not issued here.
        """
        end = len(self._images) if key is None else self._index(key)
        start = max(0, end - size)
        images = self._images[start:end][::-1]
        return images, self._key(images[-1].id) if start else None

    def _index(self, key: str) -> int:
        try:
            image_id = json.loads(base64.b64decode(key, validate=True))["sortKey"]
            index = self._indices[image_id]
        except (ValueError, KeyError, TypeError) as exc:
            raise BadPageKey(key) from exc
        if key != self._key(image_id):
            raise BadPageKey(key)
        return index

    def _key(self, image_id: str) -> str:
        # The documented example decodes to '{"partitionKey":"user...' [D]; the rest
        # of its form is a guess [I].
        parts: dict[str, Any] = {
            "partitionKey": f"user#{self._owner}",
            "sortKey": image_id,
            "salt": _salt(image_id),
        }
        text = json.dumps(parts, separators=(",", ":"))
        return base64.b64encode(text.encode()).decode()


# Base64 turns these into "+" and "/" in many positions, and the varying length into
# "=", so that a client that does not percent-encode its query is caught.
_ODD: Final = ">?~}|{<"


def _salt(image_id: str) -> str:
    digest = hashlib.sha256(image_id.encode()).digest()
    return "".join(_ODD[byte % len(_ODD)] for byte in digest[: 6 + digest[-1] % 3])
