"""Calendars that run the law.

===============  =================================================================================
`tally.py`       what is counted while accounts live, in integers, and the log of chosen histories
`live.py`        carries one account forward in time and counts what happens: used by every engine
`process.py`     the SimPy engine: a process per account, a resource per desk
`scan.py`        finds the accounts that have anything to do, for the SimPy engine
`compiled.py`    the compiled engine: shards of accounts on all cores
`idle.py`        tells idle accounts from a random word or two, for the compiled engine
`desks.py`       merges the accounts that meet at limited desks
`calendar.py`    who is due when, for the merge
`heap.py`        queues from which anybody can leave
===============  =================================================================================
"""
