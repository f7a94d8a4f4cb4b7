"""The public names of the sandbox."""

from __future__ import annotations

import copy
import pickle
import typing

import pytest

from pictory_async import sandbox
from pictory_async.sandbox import (
    Behavior,
    Fault,
    ImageView,
    JobView,
    SeenRequest,
    Throttle,
    WebhookDelivery,
)

RECORDS = [
    Behavior(),
    Fault.drop(on="submit"),
    ImageView(
        id="i1",
        job_id="j1",
        prompt="A lighthouse",
        model="seedream3.0",
        aspect_ratio="1:1",
        style=None,
        reference_image_url=None,
        created_at=0.0,
        width=1024,
        height=1024,
    ),
    JobView(
        job_id="j1",
        image_id="i1",
        request={"prompt": "A lighthouse"},
        state="completed",
        polls=1,
        submitted_at=0.0,
        ended_at=10.0,
    ),
    SeenRequest(kind="other", method="GET", path="/"),
    Throttle(1),
    WebhookDelivery(job_id="j1", url="http://127.0.0.1:9/", payload={}),
]


def test_public_classes_name_their_public_module() -> None:
    """A traceback names the path from which a class is imported."""
    classes = [
        public
        for name in sandbox.__all__
        if isinstance(public := getattr(sandbox, name), type)
    ]
    assert len(classes) == 9  # all names but `EndpointKind`, a Literal
    assert {each.__module__ for each in classes} == {"pictory_async.sandbox"}
    assert all(getattr(sandbox, each.__qualname__) is each for each in classes)


@pytest.mark.parametrize("name", sandbox.__all__)
def test_annotations_can_be_resolved(name: str) -> None:
    """Tools that read them need no name of a private module."""
    public = getattr(sandbox, name)
    if isinstance(public, type):
        hints = typing.get_type_hints(public)
        assert not any(isinstance(each, str) for each in hints.values())


@pytest.mark.parametrize("record", RECORDS, ids=lambda each: type(each).__name__)
def test_records_can_be_pickled_and_copied(record: object) -> None:
    """A pickle names the public path and no private module."""
    data = pickle.dumps(record)
    assert pickle.loads(data) == copy.deepcopy(record) == record  # noqa: S301 - ours
    assert b"pictory_async.sandbox" in data
    assert b"sandbox._" not in data
