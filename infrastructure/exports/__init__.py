"""Lists that are given out as files."""
