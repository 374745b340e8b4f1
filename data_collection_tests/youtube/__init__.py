"""Tests of T4: channels, breaker, nights and repair."""
