"""Tests of MAESTRO: metadata, performers, works, archive and pairs."""
