"""Data collection for piano performance: recordings, embeddings and labels a lab can trust.

Wires nothing and imports nothing: the graph is put together in `data_collection.build`.
"""
