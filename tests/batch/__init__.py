"""Tests of batches and their journals."""
