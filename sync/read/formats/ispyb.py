"""Documents as `sync.model.documents` has them: nothing to turn, the reader takes them as they are."""

Form = None
