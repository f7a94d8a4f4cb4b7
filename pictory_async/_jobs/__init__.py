"""Jobs, from their submission to their result.

`submit` sends paid requests, `handle` is one job, `jobs` the registry of those in
progress, and `scheduler` polls them.
"""
