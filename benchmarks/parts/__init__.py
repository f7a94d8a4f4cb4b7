"""The measurements; each runs in a process of its own."""
