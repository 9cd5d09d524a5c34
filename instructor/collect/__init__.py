"""What comes back: read hand-ins, merge them into one MLflow store, score them on the hidden test set, rank."""
