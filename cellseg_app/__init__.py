"""CellSeg: finds every cell in a 3D microscope volume."""

__version__ = "0.1.0"
