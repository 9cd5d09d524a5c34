"""Bring kits to laptops: by stick, as archives, over SSH; look after them; put them back for the next class."""
