"""A structured training package for skin-lesion photographs: configuration, data, models, training, tracking.

Start reading at `experiment.py`: five paragraphs that name every other part. `conf/` holds what can be changed
without touching code; the command `lab` (in `cli.py`) is the way to run it. The models are for teaching only,
never for clinical use.
"""
