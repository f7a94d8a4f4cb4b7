"""Tests of jobs, from their submission to their result."""
