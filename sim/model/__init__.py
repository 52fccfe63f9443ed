"""The law over flat tables; it is written down in ``README.md`` beside this file.

===================  ===================================================================
`draws.py`           keyed random numbers (Philox)
`durations.py`       inverse distribution functions
`tables.py`          a scenario as NumPy tables
`schedule.py`        reviewers over time
`population.py`      who is hit by an order for an exact count
`account.py`         what an account remembers, enters, and does next
`events.py`          what can happen to it
`logarithm.py`       the logarithm behind every exponential duration
`jit.py`             Numba, set up in one place
`interpreted.py`     what that means where Numba is switched off
===================  ===================================================================
"""
