"""The pictures of README and docs/: a class is played by simulated groups, and its pages are photographed by Chromium.

    make pictures                what is older than what it shows; ONLY=board: that one alone

Which pictures there are, of what, and which files they show is the table in `table.py`. (The slides' own pictures are
something else: `instructor/classroom/pictures.py`.)
"""
