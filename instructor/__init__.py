"""What only instructors have: the workshop's description, the quiz bank, locks, kits, and what comes back."""
