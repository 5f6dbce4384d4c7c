"""The matching rules once more, row by row, from design.md alone: what the SQL is compared with.

    facts         the live columns: what fits, how text compares, what a column holds that nobody writes
    kinds         the eight entities: their keys in order, what is written once and what always
    mentions      every place of an export that names something
    things        what one row is made of
    joining       rules 5 and 8: mentions that are the same thing
    match         rules 1 to 4 and 6: which row a thing is, and which keys it may have
    laboratories  what is special about them: names that are not unique
    worlds        random rows and exports
    differ        what the tool did, compared
    smaller       the smallest form of an example that differs
    run           parents before children: rows, refusals and counts after a run

Slow and plain on purpose. It shares no code with `sync`, and reads nothing from `sql/`.
"""
