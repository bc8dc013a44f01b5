"""A frame's way over a GPU, written so that the same lines run on the CPU's tensors too."""
