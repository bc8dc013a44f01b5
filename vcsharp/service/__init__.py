"""vcsharp as a systemd service: its unit files, putting them in place, taking them away."""
