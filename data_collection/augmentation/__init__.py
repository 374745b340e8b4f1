"""Clips as a worse room, microphone or telephone would have had them, sample for sample in time.

What belongs here: recipes, what is drawn from them, the effects, rooms, and the chain that applies
them. What does not: which clips get a twin, and its embedding.
"""
