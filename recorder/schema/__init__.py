"""JSON Schema: the engine, its messages, declared event types and complexity bounds."""
