"""A blind study of what people see: a page to rate pictures on, and a report of the ratings."""
