"""From a call to its value over HTTP.

`turns` decides when an attempt may start, `transport` makes the attempt, `sender` ties
both together with throttling and retries, and `stats` counts what happened.
"""
