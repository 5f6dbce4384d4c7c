"""The User Portal JSON of Java ISPyB (SMIS): four arrays of proposers, sessions, samples and labcontacts."""

from sync.read.formats.smis.form import Form as Form
