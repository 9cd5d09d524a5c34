"""What is asked of runs afterwards: what was changed, what it did, and where the network looked."""
