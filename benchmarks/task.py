"""What one worker is asked to do."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Task:
    """One measurement.

    Attributes:
        part: Which kind; a module of `benchmarks.parts`.
        client: A name of `benchmarks.clients.CLIENTS`.
        n: Jobs, or items of the history.
        latency: Seconds that each answer of the server takes.
        poll: Seconds between two polls of a job.
        duration: Seconds that a job takes.
        connections: The most connections of a client that is written here.
        rate: Submissions a second, where they are spread.
        profile: Whether to print where the time goes.
    """

    part: str
    client: str
    n: int
    latency: float = 0.0
    poll: float = 0.5
    duration: float = 1.75
    connections: int = 100
    rate: float = 0.0
    profile: bool = False


def paced(
    client: str, n: int, latency: float, *, quick: bool = False, connections: int = 100
) -> Task:
    """Return *n* jobs whose polls one core can keep up with.

    About 1,250 polls a second fall due, or 500 if each answer takes its time, and
    a job ends halfway between its third and its fourth poll: so every client that
    keeps up makes the same five requests a job.
    """
    shortest, rate = (0.1, 1250) if quick else (2.0, 500) if latency else (0.5, 1250)
    poll = max(shortest, n / rate)
    return Task(
        part="jobs",
        client=client,
        n=n,
        latency=latency,
        poll=poll,
        duration=3.5 * poll,
        connections=connections,
    )
