"""Pure facts of the format on disk: names and limits, canonical JSON, hashing."""
