"""Steering and watching a run while it goes: what can be asked and changed, and by which doors."""
