"""The engine's work off the GUI thread; no widgets."""
