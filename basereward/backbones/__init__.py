"""Backbone families: one file each, found by the model type of a checkpoint's config (see ``find.py``)."""
