"""The built-in lints: one class per rule, grouped by what they look at."""
