"""T2: a competition's results, matched to its recordings."""
