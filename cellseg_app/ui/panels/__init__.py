"""Panels of the main window; each has an empty state that says what to do."""
