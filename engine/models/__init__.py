"""Encoders, decoders and model bundles in plain torch."""
