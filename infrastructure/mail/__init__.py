"""Mail to people: who takes it, how it is written, how it is handed in."""
