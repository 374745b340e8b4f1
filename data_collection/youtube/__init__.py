"""T4: YouTube channels, the videos that they list, and clean/augmented pairs of their segments."""
