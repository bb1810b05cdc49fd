"""Who asks, by what proof, and what he may do."""
