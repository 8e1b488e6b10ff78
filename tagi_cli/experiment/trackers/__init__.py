"""Trackers: what a run tells TensorBoard, MLflow or Weights & Biases."""
