"""The layers, one or one family per file."""
