"""Real servers from Python wheels: PostgreSQL, NATS, Redis and S3 in one data directory."""

from infrastructure.embedded.stack import Stack, StackError, temporary_stack

__all__ = ["Stack", "StackError", "temporary_stack"]
