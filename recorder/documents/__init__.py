"""Documents that people write (YAML, TOML, JSON), with positions."""
