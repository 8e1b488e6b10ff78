"""An example of plugins for tagi."""
