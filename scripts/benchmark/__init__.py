"""Measures the tool against its goals: how long, how much memory, how many statements.

__main__    arguments, the order of measuring
floor       the same rows by LOAD DATA alone: what no tool on this server can be much quicker than
command     `ispyb-sync` as a process: seconds and peak memory
bulk        whole exports
reading     reading and validating alone
single      one proposal at a time
statements  SQL statements of a run
figures     what was measured, beside its goal
"""
