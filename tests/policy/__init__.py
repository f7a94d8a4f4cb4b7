"""Tests of the policies that users may pass."""
