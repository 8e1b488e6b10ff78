"""Training: epochs, early stopping, refitting, checkpoints, metrics. Everything in scaled units."""
