"""What answers are judged by, where Keras has no metric for it; a file an idea."""
