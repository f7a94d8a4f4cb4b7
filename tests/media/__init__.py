"""Tests of the history and the downloads."""
