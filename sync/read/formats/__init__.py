"""The forms in which a User Portal may send its data, one module a form; README.md says how to write the next one."""
