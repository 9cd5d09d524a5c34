"""Prepares the photographs that the students train on, and the hidden test set."""
