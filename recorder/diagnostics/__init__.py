"""Problems, values as text, suggestions, the secret guard."""
