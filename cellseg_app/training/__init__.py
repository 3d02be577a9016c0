"""Simulated volumes, losses, training and fine-tuning of the networks."""
