"""Pages and page keys."""

from __future__ import annotations

import base64
import json
import uuid
from random import Random

import pytest

from pictory_async.sandbox import ImageView
from pictory_async.sandbox._history import BadPageKey, History


def image(number: int) -> ImageView:
    """Return the image made at second *number*."""
    return ImageView(
        id=str(uuid.UUID(int=Random(number).getrandbits(128))),
        job_id=None,
        prompt=f"Image {number}",
        model="seedream3.0",
        aspect_ratio="1:1",
        style=None,
        reference_image_url=None,
        created_at=float(number),
        width=1024,
        height=1024,
    )


def history(images: int) -> History:
    """Return a history of *images* images."""
    made = History("owner")
    for number in range(images):
        made.add(image(number))
    return made


def test_empty() -> None:
    """An empty history is one empty page without a key."""
    assert history(0).page(None, 100) == ([], None)


def test_newest_first() -> None:
    """Both the pages and the iterator begin with the newest image."""
    made = history(3)
    expected = [image(2), image(1), image(0)]
    assert list(made) == expected
    assert made.page(None, 100) == (expected, None)


def test_full_last_page_has_no_key() -> None:
    """A page has a key only if another image follows."""
    made = history(4)
    _, key = made.page(None, 2)
    images, end = made.page(key, 2)
    assert [each.created_at for each in images] == [1, 0]
    assert end is None


def test_new_images_shift_nothing() -> None:
    """Images that arrive between two pages are neither skipped to nor repeated."""
    made = history(5)
    first, key = made.page(None, 2)
    made.add(image(5))
    second, _ = made.page(key, 2)
    assert [each.created_at for each in first + second] == [4, 3, 2, 1]


def test_find() -> None:
    """An image is found by its id."""
    made = history(2)
    assert made.find(image(1).id) == image(1)
    assert made.find("nobody") is None


def test_keys_need_encoding() -> None:
    """All three characters that a query must percent-encode occur in the keys."""
    made = history(100)
    keys = [made.page(None, size)[1] or "" for size in range(1, 100)]
    assert all(sign in "".join(keys) for sign in "=+/")
    assert len(set(keys)) == 99


def forged(**parts: object) -> str:
    """Return a key of *parts*."""
    return base64.b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "nonsense",
        "not base64!",
        base64.b64encode(b"\xff").decode(),
        base64.b64encode(b"[1]").decode(),
        forged(sortKey="unknown"),
        forged(sortKey=["unhashable"]),
        forged(sortKey=image(0).id),
    ],
)
def test_bad_key(key: str) -> None:
    """A key that was not issued is refused, even one that names an image."""
    with pytest.raises(BadPageKey):
        history(1).page(key, 100)


def test_plus_turned_blank() -> None:
    """A key whose plus signs became spaces in a query is refused."""
    made = history(100)
    keys = [made.page(None, size)[1] or "" for size in range(1, 100)]
    plus = next(key for key in keys if "+" in key)
    with pytest.raises(BadPageKey):
        made.page(plus.replace("+", " "), 100)
