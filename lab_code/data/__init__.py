"""Photographs of skin lesions, from a folder to batches.

`lesions.py` is where to begin: photographs in memory, and the split that never puts one lesion on two sides. Before it
stand the readers (`ham10000.py`, `image_table.py`, `class_folders.py`, `medmnist.py`) and decoding (`photographs.py`);
after it, augmentation.
"""
