"""Asks whether the tests would notice a mistake in the SQL: makes one at a time, and runs them.

__main__  arguments, the order of trials, what is printed
tokens    the words of a SQL file, each with its place and statement
changes   the mistakes that could be made in a file, and which of them are tried
trial     a copy of the project with one of them, and the tests that should fail there
"""
