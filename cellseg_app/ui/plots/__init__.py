"""Plots of measured cells."""
