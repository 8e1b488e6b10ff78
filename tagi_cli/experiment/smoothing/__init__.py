"""`tagi smooth`: series given all their observations."""
