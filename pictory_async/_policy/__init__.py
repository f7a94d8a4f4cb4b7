"""What a user can pass as ``retries=``, ``limits=`` and ``polling=``. No I/O, no clock.

`retry` decides what follows a failed attempt, `pace` how fast requests may start, and
`polling` when to poll and what a poll means. `adaptive` is the policy that learns, with
`durations` and `schedule` as its two steps.
"""
