"""Networks and how they run: cards, weights, normalization, windows. The room of torch."""
