"""A reader of what a form has turned into documents: the rest of the road sees no difference."""

from collections.abc import Iterator
from typing import Any

from sync.model.refusals import Notice
from sync.read.reader import ExportInfo, Item, Reader, Unreadable
from sync.read.slot import Prints
from sync.read.turning.form import Broken, Form
from sync.read.turning.origin import Origins
from sync.read.turning.sent import Sent


class Turned(Reader):
    """Reads the documents of a form; `origins` says where their parts come from."""

    def __init__(self, form: Form, sent: Sent, origins: Origins, *, prints: Prints | None) -> None:
        super().__init__(self._documents(), max_document_bytes=0, prints=prints)
        self._form = form
        self._sent = sent
        self._origins = origins
        self._broken: Broken | None = None

    @property
    def info(self) -> ExportInfo:
        """Name, size and checksum, as far as was read."""
        return self._sent.info

    @property
    def bytes_read(self) -> int:
        """How many bytes were read, as stored."""
        return self._sent.bytes_read

    def __iter__(self) -> Iterator[Item]:
        for item in self._items():
            broken = self._broken
            if broken is not None and isinstance(item, Unreadable):
                yield Unreadable(item.number, None, broken.message, broken.hint, broken.code, path=broken.path)
            else:
                yield item

    def notices(self) -> list[Notice]:
        """What the form has to tell."""
        return list(self._form.notices())

    def _documents(self) -> Iterator[Any]:
        for number, piece in enumerate(self._form, 1):
            self._broken = piece if isinstance(piece, Broken) else None
            if isinstance(piece, Broken):
                yield piece
            else:
                self._origins.keep(number, piece.origins)
                yield piece.document
