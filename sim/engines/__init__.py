"""Calendars that run the law.

===============  =================================================================================
`tally.py`       what is counted while accounts live, in integers, and the log of chosen histories
`live.py`        carries one account forward in time and counts what happens: used by every engine
`process.py`     the SimPy engine: a process per account, a resource per desk
===============  =================================================================================
"""
