"""What files say: read in a process of its own, kept beside the log, to be searched."""
