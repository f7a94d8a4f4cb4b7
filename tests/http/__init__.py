"""Tests of the sending of requests."""
