"""What the office gives out on paper, set and kept: invoices, certificates of signature; and its books, checked."""
