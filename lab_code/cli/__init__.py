"""The command `lab`: its commands by subject, and how they speak."""
