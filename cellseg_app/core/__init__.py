"""Values every room understands: volumes, settings, results, progress, errors.

No I/O, no Qt, no torch.
"""
