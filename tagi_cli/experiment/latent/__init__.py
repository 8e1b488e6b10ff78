"""Latent regression in runs: networks, findings, commands."""
