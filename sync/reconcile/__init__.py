"""Staged rows -> who is who -> what differs -> ISPyB, in one transaction."""
