"""What is written down about every run, in MLflow's store, and read back in milliseconds."""
