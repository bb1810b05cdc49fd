"""Money on paper: invoices set and kept, books checked."""
