"""What all tiers share: fetch, decode, segment, receipts, and the asset factory of the river."""
