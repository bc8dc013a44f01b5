"""What this machine can do, and what each network makes of it, measured in one run."""
