"""Applications as others would write them, for comparison."""
