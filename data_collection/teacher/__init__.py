"""The teacher: what it is shown of a clip, how it scores, and whether it is to be trusted."""
