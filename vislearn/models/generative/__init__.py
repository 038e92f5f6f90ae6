"""Networks that make images: autoencoders, adversarial networks, flows, diffusion."""
