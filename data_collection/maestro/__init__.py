"""T3: MAESTRO v3, its recordings, works, performers and contrastive pairs."""
