"""The engine: cuts a frame into tiles, runs the student on them, puts the result together."""
