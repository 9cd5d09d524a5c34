"""The dress rehearsal: simulated groups go through the real class, with every accident that a class has."""
