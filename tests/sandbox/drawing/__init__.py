"""Tests of the pictures that the sandbox draws."""
