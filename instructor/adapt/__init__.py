"""Working copies for other workshops, and small examples of other subjects."""
