"""Real servers from Python wheels: PostgreSQL, NATS, Redis and S3 in one data directory."""
