"""Promises that no single module can keep alone."""
