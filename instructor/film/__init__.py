"""The film about the GPU server, built from its script and its recordings: `make film`.

`script.py` reads what docs/film/ says, `cast.py` plays recorded terminals, `frames.py` says what every frame shows,
`draw.py` draws it in Chromium, `encode.py` makes clips and joins them, `narration.py` speaks, `texts.py` writes
captions and the page. `build.py` is the whole of it: what was drawn once is not drawn again.
"""
