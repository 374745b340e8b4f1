"""A small honest world on loopback: a channel, its videos, its competition. All made up."""
