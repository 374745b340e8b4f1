"""What training loads: one manifest of all tiers, its split, and what must be true of it."""
