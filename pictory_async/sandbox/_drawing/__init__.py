"""The test pictures of the sandbox: from a request to a PNG file."""
