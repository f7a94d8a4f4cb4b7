"""Tests of the applications around the library."""
