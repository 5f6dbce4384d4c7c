"""What stands between the reader and the forms of `sync.read.formats`: how one is found, and what it is given."""
