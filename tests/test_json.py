"""JSON is read the same with and without the faster library."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictory_async import _json

ODD = [
    b'{"a": NaN, "b": [Infinity, -Infinity]}',
    b'"\\ud800"',
    b'\xef\xbb\xbf{"a": 1}',
    '{"a": "ä"}'.encode("utf-16"),
    b'{"a": 1, "a": 2}',
    b'{"a": 0.6, "b": 1e300, "c": -0.0, "d": 12345678901234567}',
    b"[" * 900 + b"]" * 900,
]


@pytest.fixture(params=["with orjson", "without"])
def library(request: pytest.FixtureRequest) -> Iterator[str]:
    """Read with orjson, or as if it were not installed."""
    _json._fast.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "without":
            patch.setitem(sys.modules, "orjson", None)
        assert (_json._fast() is None) == (request.param == "without")
        yield request.param
    _json._fast.cache_clear()


@pytest.mark.parametrize("raw", ODD, ids=range(len(ODD)))
def test_odd_json_is_read_the_same(library: str, raw: bytes) -> None:
    """What only the standard library takes is taken with both."""
    assert library
    assert repr(_json.loads(raw)) == repr(json.loads(raw))


@pytest.mark.parametrize("raw", [b"", b"{", b"<html>", b"\xff\xfe\xfd", b"{'a': 1}"])
def test_what_is_no_json_is_refused_by_both(library: str, raw: bytes) -> None:
    """The error is a ValueError either way."""
    assert library
    with pytest.raises(ValueError, match=r".+"):
        _json.loads(raw)


def test_too_deep_is_refused_by_both(library: str) -> None:
    """A body that would exhaust the stack does not."""
    assert library
    with pytest.raises((ValueError, RecursionError)):
        _json.loads(b"[" * 200_000)


def plain(value: Any) -> bool:
    """Say whether a value is one that both libraries keep exactly."""
    return not isinstance(value, float) or math.isfinite(value)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats().filter(plain)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(value=values, ascii_only=st.booleans())
def test_any_value_is_read_the_same(value: Any, ascii_only: bool) -> None:
    """Both give equal values of equal types."""
    raw = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    results = list[object]()
    for fast in (True, False):
        _json._fast.cache_clear()
        with pytest.MonkeyPatch.context() as patch:
            if not fast:
                patch.setitem(sys.modules, "orjson", None)
            try:
                results.append(repr(_json.loads(raw)))
            except ValueError:
                results.append(ValueError)
    _json._fast.cache_clear()
    assert results[0] == results[1]
