"""What a run looks like: the numbers behind its figures, the figures, the page."""
