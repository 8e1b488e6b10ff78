"""What the outputs of a network depend on, and how surely."""
