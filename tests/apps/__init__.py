"""Whole web applications on `pictory_async`, and tests of what runs around it."""
