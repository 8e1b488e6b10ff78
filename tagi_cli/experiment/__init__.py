"""Runs: what they leave behind, and what is done with it afterwards."""
