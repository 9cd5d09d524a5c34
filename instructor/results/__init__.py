"""What a class achieved: one tidy table of all runs, the ranking with its reasons, ceremony, figures and report."""
