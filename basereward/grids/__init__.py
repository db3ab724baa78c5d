"""Grids of trainings: what one is (``spec``), its runs (``cells``), and how they are brought to an end."""
