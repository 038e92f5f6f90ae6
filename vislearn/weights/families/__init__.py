"""How other libraries name the weights of each family, a file a family, and what is published."""
