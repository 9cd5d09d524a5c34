"""The class around the package: this kit's identity, its locks, questions, progress and hand-in. Imports no torch."""
