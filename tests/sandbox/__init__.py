"""The sandbox, driven over the loopback by a plain HTTP client."""
