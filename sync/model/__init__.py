"""What is spoken of, without a database: entities, documents, settings, errors, refusals, reports."""
