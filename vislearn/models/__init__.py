"""Architectures, a file a family, a folder a task; importing a file registers its models."""
