"""Images: where they are read from, and how they reach the network as bytes."""
