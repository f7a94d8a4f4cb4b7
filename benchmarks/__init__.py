"""Measurements of what this library costs, beside other clients doing the same.

::

    pip install -e '.[bench]'           # pyperf and the other clients
    python -m benchmarks                # everything, into benchmarks/results.md
    python -m benchmarks --quick        # everything in small, in a minute or two
    python -m benchmarks --parts jobs --clients pictory aiohttp --n 1000 --rounds 5
    python -m benchmarks --append --parts flight      # add runs to the results
    python -m benchmarks report                       # write page and pictures again

    python -m benchmarks duel --n 1000 --rounds 10    # CPU a request, against aiohttp
    python -m benchmarks duel --clients pictory openai --latency 0.1
    python -m benchmarks duel --parts history --items 10000
    python -m benchmarks profile --n 1000             # where our time goes
    python -m benchmarks profile --parts history

    python -m benchmarks.polling        # polls a job, and how late its end is seen
    python -m benchmarks.webhooks       # the same with webhooks

README.md says how it is done and what the figures mean.
"""
