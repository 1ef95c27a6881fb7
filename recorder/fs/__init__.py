"""File system effects: the only writer, and safe reading."""
