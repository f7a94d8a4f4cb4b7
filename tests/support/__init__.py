"""What several tests use: servers, and programs that are killed."""
