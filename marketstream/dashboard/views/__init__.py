"""One file per view; view.py says what a view is and fences it."""
