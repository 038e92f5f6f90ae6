"""Pure functions on tensors, without weights."""
