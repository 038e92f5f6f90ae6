"""Other libraries that carry out an `Augmentation`: a module each, with `apply`."""
