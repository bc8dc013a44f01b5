"""Trains, quantises, exports and measures the students that vcsharp runs. Imports vcsharp, never
the reverse.
"""
