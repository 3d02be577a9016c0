"""Slices of the volume in linked panes (pyqtgraph)."""
