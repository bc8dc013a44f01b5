"""What `vcsharp doctor` looks at: one function per check, in one file per topic.

A check is given a `World` and returns findings; it changes nothing on the machine. `runner` calls
all of them beside each other and `report` shows what they found.
"""
