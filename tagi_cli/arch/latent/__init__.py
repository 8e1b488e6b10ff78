"""Latent regression between groups of variables: its graph, learning, and what is read from it."""
