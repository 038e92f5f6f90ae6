"""Pure functions on tensors, without weights, on every backend."""
