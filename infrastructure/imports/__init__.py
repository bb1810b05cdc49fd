"""Files that are brought in: read, shown, applied."""
