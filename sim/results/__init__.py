"""Tables with their columns and units, the summary, and the folder that keeps them.

===================  ==========================================================================
`columns.py`         every table: columns, types, units
`tables.py`          from the tally of a replication to its tables
`summary.py`         measures with 95 % limits
`intervals.py`       Wilson and Student limits
`spells.py`          histories, recorded or simulated, as stays in states
`estimators.py`      Kaplan-Meier, Aalen-Johansen, first entries from such stays
`content.py`         hash of a table's content
`outcome.py`         what is kept of a replication without its tables
`manifest.py`        what it takes to make the same run again
`placing.py`         folders that appear whole or not at all
`store.py`           the results folder: written whole or not at all, read when asked for
===================  ==========================================================================
"""
