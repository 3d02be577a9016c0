"""The stages in order: one volume, a batch, resume, estimate, re-segment."""
