"""How a network is trained: the loop, its optimizers, the devices it runs on, and checkpoints."""
