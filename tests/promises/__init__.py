"""Tests of what the library promises across its modules."""
