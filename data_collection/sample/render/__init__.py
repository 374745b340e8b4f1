"""Renders the sample world's recordings; run by hand, never by the collection itself.

What it renders is shipped in `data_collection/sample/audio`, so only whoever changes the sample
needs a synthesiser.
"""
