"""The student networks (PyTorch): one definition for the runtime, for training and for export."""
