"""Photographs of skin lesions: readers (`ham10000.py`), the split by lesion (`lesions.py`), augmentation."""
