"""What can be asked of the endpoint, one module a thing: documents, proposals, exports, past runs, pages."""
