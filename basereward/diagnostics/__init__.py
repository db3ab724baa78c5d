"""Diagnostics: what a model's accuracy does not tell, such as how sure it is, what it is drawn by, and what it does not notice."""
