"""Many runs, and runs elsewhere: sweeps, searches, and jobs on a server that is reached over SSH."""
