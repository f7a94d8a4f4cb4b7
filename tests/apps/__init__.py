"""Whole web applications on `pictory_async`, and their tests in real servers."""
