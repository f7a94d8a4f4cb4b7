"""JSON values become models exactly, or stay visible where they cannot."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pictory_async._core.decode import (
    UnreadableValue,
    _item_reader,
    generated_image,
    history_image,
    history_images,
)
from pictory_async._core.models import ImageRequest

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

URL = "https://cdn.example/a.png"
REQUEST = ImageRequest("A fox in the snow")


def image(**fields: Any) -> Any:
    """Return the finished image of *fields*."""
    return generated_image({"url": URL} | fields, job_id="j1", request=REQUEST)


def item(**fields: Any) -> Any:
    """Return the image of the history of *fields*."""
    return history_image({"id": "i1", "url": URL} | fields)


def test_the_documented_fields_are_read() -> None:
    """Wire names become Python's, and nothing is left over."""
    read = image(status="completed", width=1280, height=720, aiCreditsUsed=2)

    assert (read.job_id, read.url, read.request) == ("j1", URL, REQUEST)
    assert (read.width, read.height, read.credits_used) == (1280, 720, Decimal(2))
    assert read.extra == {}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (1280, 1280),
        ("1280", 1280),
        (1280.0, 1280),
        ("1280.0", 1280),
        (0, 0),
        (-5, -5),
        (10**9, 10**9),
    ],
)
def test_whole_numbers_are_read_from_every_exact_form(raw: Any, expected: int) -> None:
    """Integers, integral floats and numeric text are whole numbers."""
    read = image(width=raw)

    assert read.width == expected
    assert type(read.width) is int
    assert read.extra == {}


@pytest.mark.parametrize(
    "raw",
    [
        True,
        False,
        "",
        " 1280",
        "1280px",
        "1e3",
        "1_280",
        "0x10",
        "NaN",
        1280.5,
        "1280.5",
        float("nan"),
        float("inf"),
        float("-inf"),
        1e300,
        10**9 + 1,
        10**15,
        10**400,
        "9" * 16,
        [1280],
        {"value": 1280},
    ],
)
def test_what_is_no_whole_number_is_kept_raw(raw: Any) -> None:
    """A width that cannot be read is None and stands in extra as it came."""
    read = image(width=raw)

    assert read.width is None
    assert list(read.extra) == ["width"]
    assert read.extra["width"] is raw


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (0.6, Decimal("0.6")),
        ("0.6", Decimal("0.6")),
        (2, Decimal(2)),
        (12.8, Decimal("12.8")),
        (14.0, Decimal("14.0")),
        (0, Decimal(0)),
        ("-1.5", Decimal("-1.5")),
        (10**15 - 1, Decimal(10**15 - 1)),
    ],
)
def test_credits_are_exact(raw: Any, expected: Decimal) -> None:
    """0.6 credits are six tenths, not the float next to it."""
    read = image(aiCreditsUsed=raw)

    assert read.credits_used == expected
    assert type(read.credits_used) is Decimal


@pytest.mark.parametrize(
    "raw", [True, "much", float("nan"), float("inf"), 10**15, [], "1" * 20]
)
def test_unreadable_credits_are_kept_raw(raw: Any) -> None:
    """Credits that cannot be read are None and stand in extra as they came."""
    read = image(aiCreditsUsed=raw)

    assert read.credits_used is None
    assert read.extra["aiCreditsUsed"] is raw


def test_null_is_absence() -> None:
    """A null is None, never the text "None", and does not stand in extra."""
    read = image(width=None, height=None, aiCreditsUsed=None)
    shown = item(prompt=None, model=None, style=None, createdDate=None, width=None)

    assert (read.width, read.height, read.credits_used) == (None, None, None)
    assert (shown.prompt, shown.model, shown.style) == (None, None, None)
    assert shown.created_at is None
    assert read.extra == shown.extra == {}


def test_newer_fields_stand_in_extra() -> None:
    """Fields that this release does not know are kept under their wire names."""
    read = image(status="completed", seed=7, extra={"a": None}, jobId="j2", note=None)

    assert read.extra == {"seed": 7, "extra": {"a": None}, "jobId": "j2", "note": None}
    assert item(seed=7).extra == {"seed": 7}


def test_what_is_known_here_is_not_read() -> None:
    """The id that was polled and our request win over fields of those names."""
    read = image(job_id="j2", request={"prompt": "another"})

    assert (read.job_id, read.request) == ("j1", REQUEST)


def test_the_documented_item_is_read() -> None:
    """Every field of an item of the history gets its Python name."""
    read = item(
        prompt="A fox",
        model="nanobanana",
        aspectRatio="16:9",
        createdDate="2026-04-04T06:03:38.665Z",
        width=1024,
        height=1024,
        style="photorealistic",
        referenceImageUrl="https://cdn.example/b.png",
    )

    assert (read.id, read.url, read.prompt) == ("i1", URL, "A fox")
    assert (read.model, read.aspect_ratio) == ("nanobanana", "16:9")
    assert read.created_at == datetime(2026, 4, 4, 6, 3, 38, 665000, UTC)
    assert (read.width, read.height, read.style) == (1024, 1024, "photorealistic")
    assert read.reference_image_url == "https://cdn.example/b.png"
    assert read.extra == {}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("2026-04-04T06:03:38Z", datetime(2026, 4, 4, 6, 3, 38, tzinfo=UTC)),
        ("2026-04-04T06:03:38+02:00", datetime(2026, 4, 4, 4, 3, 38, tzinfo=UTC)),
        ("2026-04-04T00:30:00+05:30", datetime(2026, 4, 3, 19, 0, tzinfo=UTC)),
        ("2026-04-04T06:03:38", datetime(2026, 4, 4, 6, 3, 38, tzinfo=UTC)),
        ("2026-04-04 06:03:38.123456789Z", datetime(2026, 4, 4, 6, 3, 38, 123456, UTC)),
        ("2026-04-04", datetime(2026, 4, 4, tzinfo=UTC)),
    ],
)
def test_dates_are_aware_and_in_utc(raw: str, expected: datetime) -> None:
    """Any ISO 8601 date is read; one without a zone is taken for UTC."""
    read = item(createdDate=raw).created_at

    assert read == expected
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "raw",
    [
        "yesterday",
        "",
        "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
        1775282618665,
        True,
        ["2026-04-04"],
    ],
)
def test_an_unreadable_date_is_kept_raw(raw: Any) -> None:
    """A date that cannot be read is None, and its text stands in extra."""
    read = item(createdDate=raw)

    assert read.created_at is None
    assert read.extra == {"createdDate": raw}


@pytest.mark.parametrize("raw", [7, True, ["a"], {"a": 1}])
def test_text_of_another_kind_is_kept_raw(raw: Any) -> None:
    """A number does not become a string."""
    read = item(prompt=raw, aspectRatio=raw)

    assert (read.prompt, read.aspect_ratio) == (None, None)
    assert read.extra == {"prompt": raw, "aspectRatio": raw}


@pytest.mark.parametrize(
    ("raw", "where", "why"),
    [
        (None, "", "expected an object"),
        ("i1", "", "expected an object"),
        ([], "", "expected an object"),
        ({}, ".id", "expected a non-empty string"),
        ({"url": URL}, ".id", "expected a non-empty string"),
        ({"id": "", "url": URL}, ".id", "expected a non-empty string"),
        ({"id": 7, "url": URL}, ".id", "expected a non-empty string"),
        ({"id": None, "url": None}, ".id", "expected a non-empty string"),
        ({"id": "i1"}, ".url", "expected a non-empty string"),
        ({"id": "i1", "url": None}, ".url", "expected a non-empty string"),
        ({"id": "i1", "url": ""}, ".url", "expected a non-empty string"),
        ({"id": "i1", "url": 7}, ".url", "expected a non-empty string"),
    ],
)
def test_an_item_without_id_or_url_is_refused(raw: Any, where: str, why: str) -> None:
    """The error names the place below the item and what was expected there."""
    with pytest.raises(UnreadableValue) as caught:
        history_image(raw)

    assert (caught.value.where, caught.value.why) == (where, why)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@unhurried
@given(width=JSON, height=JSON, used=JSON, other=JSON)
def test_a_paid_picture_is_never_lost(
    width: object, height: object, used: object, other: object
) -> None:
    """Whatever the other fields contain, an image with a URL is an image."""
    read = image(width=width, height=height, aiCreditsUsed=used, other=other)

    assert read.url == URL
    assert "other" in read.extra


@unhurried
@given(date=JSON, prompt=JSON, width=JSON)
def test_an_item_with_id_and_url_is_always_read(
    date: object, prompt: object, width: object
) -> None:
    """What is optional in an item never makes it unreadable."""
    assert item(createdDate=date, prompt=prompt, width=width).id == "i1"


DOCUMENTED = {
    "url": URL,
    "id": "c3d4e5f6-a7b8-9012-cdef-345678901234",
    "prompt": "A modern workspace",
    "aspectRatio": "16:9",
    "createdDate": "2026-04-04T06:03:38.665Z",
    "model": "nanobanana",
    "width": 1024,
    "height": 1024,
}
odd = st.sampled_from([
    None,
    "",
    "x",
    "12",
    7,
    -3,
    10**12,
    1.5,
    2.0,
    True,
    [],
    {},
    "2026-01-01T00:00:00",
])


def test_documented_page_takes_the_short_way() -> None:
    """A page as the documents show it needs no general converter."""
    optional = {"style": "vintage", "referenceImageUrl": URL}
    page = [DOCUMENTED, DOCUMENTED | optional]
    assert history_images(page) == tuple(map(_item_reader(), page))


@unhurried
@given(
    changes=st.dictionaries(
        st.sampled_from([*DOCUMENTED, "style", "referenceImageUrl", "new"]), odd
    ),
    missing=st.sets(st.sampled_from(sorted(DOCUMENTED))),
)
def test_short_way_never_differs(changes: dict[str, Any], missing: set[str]) -> None:
    """Whatever the fast path returns, the general one returns as well."""
    item = {k: v for k, v in (DOCUMENTED | changes).items() if k not in missing}
    short = history_images([DOCUMENTED, item])
    if short is not None:
        general = _item_reader()(item)
        assert short == (_item_reader()(DOCUMENTED), general)
        assert [image.extra for image in short] == [general.extra, {}]


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        "text",
        DOCUMENTED | {"new": 1},
        DOCUMENTED | {"createdDate": "2026-04-04T06:03:38+02:00"},
        DOCUMENTED | {"createdDate": "yesterday"},
        DOCUMENTED | {"url": ""},
    ],
)
def test_one_odd_item_sends_a_page_the_long_way(odd: object) -> None:
    """The fast path is for pages with items; an empty page does not use it."""
    assert history_images([DOCUMENTED, odd]) is None
    assert history_images([]) is None


def test_pictures_of_a_page_share_nothing() -> None:
    """Each is frozen and hashes as if it had been constructed; *extra* is its own."""
    first, second = history_images([DOCUMENTED, DOCUMENTED]) or ()
    assert first == second
    assert first.extra is not second.extra
    with pytest.raises(AttributeError):
        first.id = "another"  # type: ignore[misc]
