"""The embedded models: data, training, export, judge."""
