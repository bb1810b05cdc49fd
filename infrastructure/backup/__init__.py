"""A backup: the database at one position, the contents of files, the head of the log as it was signed; keys apart."""
