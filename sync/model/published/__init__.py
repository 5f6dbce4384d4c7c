"""What exporters are told of a document: its JSON Schema, and an example."""
