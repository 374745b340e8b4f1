"""Tests of twins: recipes, effects, rooms, and the chain."""
