"""Events to lines of text: event templates, tables, wrapping, styles."""
