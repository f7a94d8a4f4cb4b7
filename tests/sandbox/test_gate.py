"""The gate: faults, rate limit and chaos."""

from __future__ import annotations

import json

import pytest

from pictory_async.sandbox import EndpointKind, Fault, SeenRequest, Throttle
from pictory_async.sandbox._gate import FaultScript, Gate, TokenBucket


def seen(kind: EndpointKind = "job", at: float = 0.0) -> SeenRequest:
    """Return a request for the endpoint *kind*."""
    return SeenRequest(kind=kind, method="GET", path="/", at=at)


def test_fault_hits_once_by_default() -> None:
    """A fault is used up by one request."""
    script, fault = FaultScript(), Fault.drop()
    script.add(fault)
    assert [script.take(seen()), script.take(seen())] == [fault, None]
    assert script.faults == []


def test_fault_hits_its_endpoint() -> None:
    """A fault on one endpoint leaves the others alone."""
    script, fault = FaultScript(), Fault.drop(on="submit")
    script.add(fault)
    assert script.take(seen("job")) is None
    assert script.faults == [fault]
    assert script.take(seen("submit")) is fault


def test_times_and_after() -> None:
    """A fault lets *after* matching requests pass and hits *times* of them."""
    script = FaultScript()
    script.add(Fault.drop(on="job", after=2, times=2))
    kinds: list[EndpointKind] = ["job", "file", "job", "job", "job", "job"]
    hits = [script.take(seen(kind)) is not None for kind in kinds]
    assert hits == [False, False, False, True, True, False]


def test_endless_fault() -> None:
    """A fault without a number hits until the faults are cleared."""
    script = FaultScript()
    script.add(Fault.drop(times=None))
    assert all(script.take(seen()) for _ in range(50))
    script.clear()
    assert script.take(seen()) is None


def test_first_fault_wins_and_all_count() -> None:
    """A request that one fault hits also counts towards *after* of the later ones."""
    script = FaultScript()
    first, second = Fault.drop(times=2), Fault.hang(after=2)
    script.add(first)
    script.add(second)
    assert [script.take(seen()) for _ in range(3)] == [first, first, second]


@pytest.mark.parametrize(
    "options", [{"times": 0}, {"after": -1}, {"delay": -0.1}, {"delay": float("nan")}]
)
def test_senseless_fault(options: dict[str, float]) -> None:
    """A fault that could never happen is refused when it is made."""
    with pytest.raises(ValueError, match="or more"):
        Fault(**options)  # type: ignore[arg-type]


def test_answers() -> None:
    """A scripted answer has the given body, or that of a gateway for its status."""

    def body(fault: Fault) -> tuple[int, bytes, str]:
        assert fault.reply is not None
        return fault.reply.status, fault.reply.body, fault.reply.content_type

    kind = "application/json"
    assert body(Fault.answer(504)) == (
        504,
        b'{"message": "Endpoint request timed out"}',
        kind,
    )
    assert body(Fault.answer(529)) == (529, b'{"message": "Error"}', kind)
    assert body(Fault.answer(503)) == (503, b'{"message": "Service Unavailable"}', kind)
    assert body(Fault.answer(200, body=[1])) == (200, b"[1]", kind)
    assert body(Fault.answer(403, body="<h1>")) == (403, b"<h1>", "text/html")
    assert body(Fault.answer(500, body=b"")) == (500, b"", "text/html")
    assert body(Fault.answer(500, body=b"x", content_type="text/plain")) == (
        500,
        b"x",
        "text/plain",
    )


@pytest.mark.parametrize(
    ("value", "header"),
    [(3, "3"), (3.0, "3"), (0.5, "0.5"), ("Wed, 21 Oct 2026 07:28:00 GMT",) * 2],
)
def test_retry_after(value: float | str, header: str) -> None:
    """Retry-After is whole seconds where it can be, or a date as given."""
    fault = Fault.answer(429, retry_after=value, headers={"X-Note": "a"})
    assert fault.reply is not None
    assert fault.reply.headers == {"X-Note": "a", "Retry-After": header}


def through(bucket: TokenBucket, *times: float) -> list[bool]:
    """Return which of the requests at *times* are admitted."""
    return [bucket.refusal(at) is None for at in times]


def test_bucket() -> None:
    """After the burst one request passes for each period of the rate."""
    bucket = TokenBucket(Throttle(2, burst=2))
    assert through(bucket, 0, 0, 0, 0.4, 0.5, 0.9, 1.0) == [
        True, True, False, False, True, False, True,
    ]  # fmt: skip
    assert bucket.refused == 3


def test_bucket_does_not_overflow() -> None:
    """A long quiet time earns one burst and no more."""
    bucket = TokenBucket(Throttle(10, burst=3))
    assert through(bucket, *[1000.0] * 4) == [True, True, True, False]


def test_bucket_takes_late_requests() -> None:
    """A request that arrived before the last one earns no tokens twice."""
    bucket = TokenBucket(Throttle(1))
    assert through(bucket, 5.0, 4.0, 5.5, 6.0) == [True, False, False, True]


def test_throttled_answers() -> None:
    """The answer beyond the limit is as configured."""
    plain = TokenBucket(Throttle(1))
    plain.refusal(0)
    reply = plain.refusal(0)
    assert reply is not None
    assert (reply.status, dict(reply.headers)) == (429, {})
    assert json.loads(reply.body) == {"message": "Too Many Requests"}
    html = TokenBucket(Throttle(1, status=503, retry_after=7, html=True))
    html.refusal(0)
    reply = html.refusal(0)
    assert reply is not None
    assert (reply.status, reply.headers["Retry-After"]) == (503, "7")
    assert (reply.content_type, reply.body[:6]) == ("text/html", b"<html>")


@pytest.mark.parametrize("options", [{"rate": 0}, {"rate": 1, "burst": 0}])
def test_senseless_throttle(options: dict[str, float]) -> None:
    """A limit that lets nothing through is refused."""
    with pytest.raises(ValueError, match=r"rate|burst"):
        Throttle(**options)  # type: ignore[arg-type]


def test_gate_order() -> None:
    """The rate limit comes before the script, and the script before chaos."""
    chaos = Fault.hang()
    gate = Gate(throttle=Throttle(1), chaos=lambda _: chaos)
    scripted = Fault.drop(on="job")
    gate.script.add(scripted)
    assert gate.fault_for(seen()) is scripted
    refused = gate.fault_for(seen())
    assert refused.reply is not None
    assert (refused.reply.status, refused.handled) == (429, False)
    assert gate.fault_for(seen(at=1.0)) is chaos
    assert gate.throttled == 1


def test_gate_does_not_limit_files() -> None:
    """Files come from another host, to which the limit of the API does not apply."""
    gate = Gate(throttle=Throttle(1), chaos=None)
    assert all(gate.fault_for(seen("file")) == Fault() for _ in range(9))
    assert gate.throttled == 0


def test_open_gate() -> None:
    """Without faults, limit and chaos a request passes unchanged."""
    gate = Gate(throttle=None, chaos=lambda _: None)
    assert gate.fault_for(seen()) == Fault()
    assert gate.throttled == 0
