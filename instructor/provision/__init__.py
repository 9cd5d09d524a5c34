"""Kits: what goes into one (`kit.py`), all of them at once (`workshop_kits.py`), the sheets on paper (`sheet.py`)."""
