"""vislearn serve: exported packages behind HTTP."""
