"""Tests of `pictory batch`."""
