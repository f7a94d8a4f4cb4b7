"""Measurements of what this library costs, beside other clients doing the same.

::

    pip install -e '.[bench]'           # the other clients; all of them are optional
    python -m benchmarks                # everything, into benchmarks/results.md
    python -m benchmarks --quick        # everything in small, in under a minute
    python -m benchmarks --parts jobs --clients pictory aiohttp --n 1000 --rounds 5
    python -m benchmarks --append --parts flight      # more, to the results there are
    python -m benchmarks report                       # the page and pictures anew

    python -m benchmarks duel --n 1000 --rounds 10    # CPU a request, against aiohttp
    python -m benchmarks duel --clients pictory openai --latency 0.1
    python -m benchmarks duel --parts history --items 10000
    python -m benchmarks profile --n 1000             # where our time goes
    python -m benchmarks profile --parts history

    python -m benchmarks.chaos          # is a job lost or paid twice?
    python -m benchmarks.batch          # what does a journal cost? does memory grow?

A mock server and each client run in processes of their own, on cores of their own
where there are two. Only ratios within one run mean anything: the CPU time of the same
work differs by a factor of two from machine to machine, and from minute to minute.
"""
