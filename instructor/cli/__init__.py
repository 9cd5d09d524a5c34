"""The command `instructor`: one file a phase of the instructor's work, and the options that they share."""
