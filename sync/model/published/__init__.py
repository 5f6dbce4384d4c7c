"""What others are given: the JSON Schema of a document, an example of one, and reports as pandas tables."""
